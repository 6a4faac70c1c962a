"""Networks of the field from other programs are read, and compute what ONNX Runtime computes of their own files."""

from __future__ import annotations

import importlib.util
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest

from compiler.codegen.from_onnx import from_onnx, read_model
from compiler.codegen.onnx_reader import OnnxProblem
from compiler.codegen.schedules import template_of
from compiler.codegen.to_onnx import to_onnx
from compiler.ir.graph import Network
from compiler.passes.fold import for_inference
from compiler.passes.fuse import fuse
from tests.compiler.codegen.light_models import FOLDER, inputs_for, light_model, run

ANGLE = "ch_ppocr_mobile_v2.0_cls_infer.onnx"


def agreeing(model: onnx.ModelProto, images: np.ndarray) -> Network:
    """The network that a model is read as; it answers as the model does, and differently to different images."""
    network, parameters = from_onnx(model, images.shape[1:])
    expected = run(model, images)[0].reshape(len(images), -1)
    found = run(to_onnx(network, parameters), images)[0]
    scale = np.abs(expected).max(axis=1, keepdims=True)
    assert np.abs(found - expected).max() <= 1e-4 * scale.min()
    assert (np.ptp(expected, axis=0).max() > 1e-3 * scale).all()
    return network


def operators(network: Network) -> Counter[str]:
    return Counter(node.op for node in network.graph.nodes)


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("resnet50", {"conv": 53, "bn": 53, "add": 16, "max_pool": 1, "global_pool": 1, "linear": 1}),
        ("squeezenet", {"conv": 26, "concat": 8, "max_pool": 3, "global_pool": 1, "softmax": 1}),
        ("shufflenet", {"channel_shuffle": 16, "depthwise": 16, "avg_pool": 3, "concat": 3, "add": 13}),
        ("densenet121", {"bn": 242, "layer_scale": 121, "concat": 58, "avg_pool": 3}),
        ("inception_v2", {"concat": 10, "max_pool": 5, "avg_pool": 7, "global_pool": 1}),
    ],
)
def test_networks_of_the_field(name: str, counts: dict[str, int]) -> None:
    model = light_model(name)
    network = agreeing(model, inputs_for(model, 2))
    assert counts.items() <= operators(network).items()


@pytest.mark.parametrize(
    ("name", "templates"),
    [
        ("resnet50", {"dense", "window", "mean", "rows"}),
        ("squeezenet", {"dense", "window", "concat", "mean", "rows"}),
        ("shufflenet", {"dense", "window", "shuffle", "concat", "mean", "rows"}),
    ],
)
def test_no_kernel_changes_the_layout(name: str, templates: set[str]) -> None:
    """Images are channels last throughout; nothing but concatenations and shuffles of channels moves elements."""
    network, parameters = from_onnx(light_model(name))
    kernels = fuse(for_inference(network, parameters)[0]).kernels
    assert all(signature.startswith("f32 nhwc ") for signature in kernels)
    assert {template_of(kernel).name.partition("/")[0] for kernel in kernels.values()} == templates
    moving = {kernel.steps[0].operator for kernel in kernels.values() if not kernel.macs}
    assert moving <= {"concat", "channel_shuffle", "max_pool", "avg_pool", "global_pool", "softmax"}


@pytest.mark.parametrize("name", ["bvlc_alexnet", "inception_v1", "zfnet512"])
def test_what_is_not_supported_yet_is_named(name: str) -> None:
    with pytest.raises(OnnxProblem) as raised:
        from_onnx(onnx.load(FOLDER / f"light_{name}.onnx"))
    first, *named, supported = str(raised.value).splitlines()
    assert first == "2 nodes cannot be read"
    assert [text.split("` ")[1] for text in named] == ["(LRN) is not supported"] * 2
    assert supported.startswith("supported are Add, ")


def test_a_trained_classifier_of_text_angles() -> None:
    """Its sizes are free and computed with, its activations several nodes each, its constants nodes."""
    package = importlib.util.find_spec("rapidocr_onnxruntime")
    if package is None or package.origin is None:
        pytest.skip("pip install --no-deps rapidocr-onnxruntime==1.4.4 brings the model")
    model = read_model(Path(package.origin).parent / "models" / ANGLE)
    with pytest.raises(OnnxProblem, match="--input-shape 3x224x224"):
        from_onnx(model)
    images = np.random.default_rng(0).uniform(-1, 1, (4, 3, 48, 192)).astype(np.float32)
    network = agreeing(model, images)
    assert operators(network)["hswish"] == 18
    assert operators(network)["hsigmoid"] == 9
