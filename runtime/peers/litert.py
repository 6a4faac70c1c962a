"""LiteRT, once TensorFlow Lite, with XNNPACK; litert-torch converts the model by way of PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from runtime.peers.conversion import torch_module
from runtime.peers.packages import installed, version_of

NAME = "litert"
TITLE = "LiteRT"
PACKAGES: tuple[str, ...] = ("ai-edge-litert", "litert-torch", "jax")


def available() -> bool:
    """True if its packages are installed."""
    return installed(PACKAGES)


def version() -> str:
    """The version of its runtime."""
    return version_of(PACKAGES)


def configuration(threads: int) -> Mapping[str, Any]:
    """The settings it runs with."""
    return {"num_threads": threads, "delegate": "XNNPACK", "precision": "fp32"}


def prepare(model: Path, threads: int) -> Callable[[Any], Any]:
    """Convert and load an ONNX model; the result takes `[1, C, H, W]` and gives `[1, classes]`, both float32."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=_converted(model), num_threads=threads)
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]["index"]
    result = interpreter.get_output_details()[0]["index"]

    def run(image: Any) -> Any:
        interpreter.set_tensor(source, image)
        interpreter.invoke()
        return interpreter.get_tensor(result)

    return run


def _converted(model: Path) -> bytes:
    """The model as a .tflite file, traced in the contiguous layout; the converter turns it to channels last."""
    import litert_torch
    import onnx
    import torch

    tensor = onnx.load(model, load_external_data=False).graph.input[0].type.tensor_type
    example = torch.zeros([axis.dim_value or 1 for axis in tensor.shape.dim])
    module: Any = torch_module(model)
    module = module.to(memory_format=torch.contiguous_format)
    with TemporaryDirectory(prefix="onepath-") as folder:
        path = Path(folder) / "model.tflite"
        litert_torch.convert(module, (example,)).export(str(path))
        return path.read_bytes()
