"""IREE, compiled for this processor: channels last and tiled data, which measured fastest of its options."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from runtime.peers.conversion import convert
from runtime.peers.packages import installed, version_of

NAME = "iree"
TITLE = "IREE"
PACKAGES: tuple[str, ...] = ("iree-base-runtime", "iree-base-compiler")
FLAGS = (
    "--iree-hal-target-device=local",
    "--iree-hal-local-target-device-backends=llvm-cpu",
    "--iree-llvmcpu-target-cpu=host",
    "--iree-input-type=onnx",
    "--iree-opt-level=O3",
    "--iree-opt-data-tiling",
    "--iree-preprocessing-pass-pipeline="
    "builtin.module(util.func(iree-preprocessing-convert-conv-to-channels-last))",
)


def available() -> bool:
    """True if its packages are installed."""
    return installed(PACKAGES)


def version() -> str:
    """The version of its runtime."""
    return version_of(PACKAGES)


def configuration(threads: int) -> Mapping[str, Any]:
    """The settings it is compiled and run with."""
    return {"device": _device(threads), "threads": threads, "precision": "fp32", "compiler": list(FLAGS)}


def _device(threads: int) -> str:
    """The caller's own thread where one is enough, else a pool."""
    return "local-sync" if threads == 1 else "local-task"


def prepare(model: Path, threads: int) -> Callable[[Any], Any]:
    """Compile and load an ONNX model; the result takes `[1, C, H, W]` and gives `[1, classes]`, both float32.

    Raises:
        CannotConvert: IREE cannot import or compile the model.
    """
    import iree.runtime as iree

    iree.flags.parse_flags(f"--task_topology_group_count={threads}")
    config = iree.Config(device=iree.get_device(_device(threads)))
    with TemporaryDirectory(prefix="onepath-") as folder:
        binary = _compiled(model.absolute(), Path(folder)).read_bytes()
    module = iree.load_vm_module(iree.VmModule.copy_buffer(config.vm_instance, binary), config)
    names = [
        name for name in module.vm_module.function_names if not name.startswith("__") and "$" not in name
    ]
    function = module[names[0]]
    return lambda image: function(image).to_host()


def _compiled(model: Path, folder: Path) -> Path:
    run = (sys.executable, "-m")
    convert([*run, "iree.compiler.tools.import_onnx", model, "-o", "model.mlir"], folder)
    convert(
        [*run, "iree.compiler.tools.scripts.iree_compile", "model.mlir", "-o", "model.vmfb", *FLAGS], folder
    )
    return folder / "model.vmfb"
