"""Kernels for NVIDIA GPUs are compiled without one: the bundle holds code for the architecture asked."""

from __future__ import annotations

import re
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from compiler.target import Target
from dsl.settings import TargetSettings
from runtime import checked_bundle, nvrtc
from runtime.bundle import Bundle, run_bundle, verify
from runtime.cubin import Cubin, cubins
from runtime.files import FileProblem
from runtime.model_build import build_model, read, reference_of
from runtime.nvrtc import NoNvrtc
from runtime.targets import UnsupportedTarget, here, resolve
from runtime.workers import WorkerFailed

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cuda.md"
SM_86 = TargetSettings("gpu", kind="cuda", arch="sm_86")


def require_nvrtc() -> None:
    try:
        nvrtc.require()
    except NoNvrtc as problem:
        pytest.skip(str(problem))


def has_gpu() -> bool:
    return any(Path("/proc/driver/nvidia/gpus").glob("*"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A convolution, an activation, a pool and a classifier."""
    random = np.random.default_rng(0)
    weights = {"w": random.normal(size=(8, 3, 3, 3)), "head": random.normal(size=(5, 8))}
    initial = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()]
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], "conv", pads=[1] * 4),
        helper.make_node("Relu", ["a"], ["b"], "act"),
        helper.make_node("GlobalAveragePool", ["b"], ["c"], "pool"),
        helper.make_node("Flatten", ["c"], ["d"], "flat"),
        helper.make_node("Gemm", ["d", "head"], ["y"], "fc", transB=1),
    ]
    given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 9, 7])]
    result = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 5])]
    graph = helper.make_graph(nodes, "small", given, result, initial)
    path = tmp_path_factory.mktemp("cuda") / "small.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.fixture(scope="module")
def bundle(model: Path) -> Bundle:
    require_nvrtc()
    return build_model(model, resolve(SM_86), model.parent / "sm_86", trials=0).bundle


@pytest.mark.tvm
def test_the_library_holds_machine_code_of_the_architecture_asked(bundle: Bundle) -> None:
    (found,) = cubins((bundle.folder / "model.so").read_bytes())
    assert found.arch == "sm_86"
    assert len(found.kernels) >= 3
    assert any("conv2d" in name for name in found.kernels)
    assert b"__global__" not in (bundle.folder / "model.so").read_bytes()
    said = verify(bundle.folder).manifest
    assert said.gpu == {"kind": "cuda", "arch": "sm_86", "kernels": list(found.kernels)}
    assert said.numerical_check["images"] == 0
    assert said.numerical_check["reason"].startswith("not run here: its kernels run on an NVIDIA GPU")


@pytest.mark.tvm
def test_another_architecture_is_other_code(model: Path, tmp_path: Path) -> None:
    require_nvrtc()
    settings = TargetSettings("gpu", kind="cuda", arch="sm_90a")
    built = build_model(model, resolve(settings), tmp_path / "out", trials=0).bundle
    assert [each.arch for each in cubins((built.folder / "model.so").read_bytes())] == ["sm_90"]
    assert built.manifest.gpu["arch"] == "sm_90a"


@pytest.mark.tvm
@pytest.mark.parametrize("found", [[], ["sm_90"], ["sm_86", "sm_86"]])
def test_code_of_another_architecture_is_not_written(
    found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checked_bundle, "cubins", lambda library: [Cubin(arch, ()) for arch in found])
    with pytest.raises(WorkerFailed, match=f"asked for code of sm_86 and made code of {', '.join(found)}"):
        checked_bundle._gpu_code(b"", resolve(SM_86))


@pytest.mark.tvm
def test_no_runner_of_ours_loads_it(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(FileProblem, match=r"NVIDIA GPU \(sm_86\).*apache-tvm"):
        run_bundle(bundle.folder, ["x.npy"])
    np.save(tmp_path / "x.npy", np.zeros((1, 3, 9, 7), np.float32))
    command = [sys.executable, "-I", "-B", str(bundle.folder / "runner.py"), str(tmp_path / "x.npy")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode
    assert "run on an NVIDIA GPU (sm_86)" in done.stderr


@pytest.mark.cuda
@pytest.mark.tvm
@pytest.mark.skipif(not has_gpu(), reason="there is no NVIDIA GPU")
def test_the_pages_program_runs_it_on_a_gpu(model: Path, tmp_path: Path) -> None:
    require_nvrtc()
    arch = subprocess.run(
        ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        check=True,
    )
    settings = replace(SM_86, arch="sm_" + arch.stdout.splitlines()[0].replace(".", ""))
    built = build_model(model, resolve(settings), tmp_path / "out", trials=0).bundle
    reference = reference_of(read(model), 1)
    program = tmp_path / "run_cuda.py"
    program.write_text(page_program())
    np.save(tmp_path / "x.npy", reference.inputs[:1])
    command = [sys.executable, str(program), str(built.folder), str(tmp_path / "x.npy")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answers = np.array(re.findall(r"-?\d[\d.e+-]*", done.stdout), dtype=np.float32)
    np.testing.assert_allclose(answers, reference.outputs[0].ravel(), rtol=1e-3, atol=1e-4)


def page_program() -> str:
    (found,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return str(found)


def test_the_pages_program_is_sound() -> None:
    compile(page_program(), "run_cuda.py", "exec")


def test_without_nvrtc_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvrtc, "version_of", lambda package: None)
    with pytest.raises(NoNvrtc, match=r"cuda-bindings is not installed; pip install 'onepath\[cuda\]'"):
        nvrtc.require()


@pytest.mark.parametrize("package", nvrtc.PACKAGES)
def test_a_package_of_another_release_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvrtc, "version_of", lambda name: "12.9.86" if name == package else "13.0.1")
    with pytest.raises(NoNvrtc, match=rf"needs CUDA 13, and {package} is 12\.9\.86; pip install"):
        nvrtc.require()


def test_tuning_says_that_it_needs_the_device() -> None:
    with pytest.raises(UnsupportedTarget, match=r"`gpu`: tuning .* need the device.*--trials 0"):
        here(SM_86)


def test_the_processor_beside_a_gpu_is_a_plain_one_unless_named() -> None:
    target = resolve(replace(SM_86, triple="x86_64-unknown-linux-gnu"))
    assert (target.kind, target.arch, target.cpu) == ("cuda", "sm_86", "x86-64-v2")
    assert resolve(replace(SM_86, triple="aarch64-unknown-linux-gnu")).cpu == "generic"
    assert isinstance(target, Target)


@pytest.mark.parametrize(("version", "flags"), [(7, 0x500056), (8, 0x6005604)])
def test_the_architecture_is_read_of_either_layout(version: int, flags: int) -> None:
    names = b"\0.text.first_kernel\0.nv.info\0.text.other\0"
    header = bytearray(64)
    header[:9] = b"\x7fELF\x02\x01\x01\x33" + bytes([version])
    struct.pack_into("<H", header, 18, 190)
    struct.pack_into("<I", header, 48, flags)
    struct.pack_into("<Q", header, 40, 64)
    struct.pack_into("<HHH", header, 58, 64, 4, 3)
    places = [names.index(name) for name in (b".text.first", b".nv.info", b".text.other")] + [0]
    sections = b"".join(struct.pack("<I20xQ32x", place, 64 + 4 * 64) for place in places)
    elf = bytes(header) + sections + names
    assert cubins(b"\x7fELF\x02\x01 no cubin" + elf) == (Cubin("sm_86", ("first_kernel", "other")),)


def test_a_library_for_processors_holds_none() -> None:
    assert cubins(b"\x7fELF\x02\x01\x01" + bytes(100)) == ()
    assert cubins(b"\x7fELF\x02\x01") == ()
