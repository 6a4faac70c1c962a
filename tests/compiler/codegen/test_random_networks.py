"""Networks drawn from the example spaces: torch and ONNX Runtime agree, and ONNX reads back equal."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from compiler.codegen.from_onnx import from_onnx, parse_model
from compiler.codegen.to_onnx import model_bytes, to_onnx
from compiler.counting import Counter
from compiler.derive import derive
from compiler.frontend import sound
from compiler.ir.graph import SpaceGraph
from compiler.lower import lower
from compiler.passes.fold import for_inference
from compiler.passes.pipeline import run_passes
from dsl.source import Source

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch
EXAMPLES = Path(__file__).parents[3] / "examples"


@cache
def space(name: str) -> SpaceGraph:
    path = EXAMPLES / f"{name}.space"
    return lower(sound(Source(path.name, path.read_text())))


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("name", ["quickstart", "nas_bench_macro"])
def test_a_random_network_keeps_its_meaning(name: str, seed: int) -> None:
    from compiler.nets.network import build_network

    choices = Counter(space(name)).sample(random.Random(seed))
    network = derive(run_passes(space(name)), choices)
    module = build_network(network, seed)
    sizes = network.graph.inputs[0].type.sizes
    with torch.no_grad():
        torch.manual_seed(seed)
        for _ in range(2):  # running statistics of their own, so that folding has something to fold
            module.train()(torch.randn(8, *sizes))
        image = torch.randn(1, *sizes)
        expected = module.eval()(image).numpy()
    parameters = {key: tensor.contiguous().numpy() for key, tensor in module.state_dict().items()}
    data = model_bytes(to_onnx(network, parameters))
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    result = session.run(None, {session.get_inputs()[0].name: image.numpy()})[0]
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    back, weights = from_onnx(parse_model(data))
    assert back == for_inference(network, parameters)[0]
    assert model_bytes(to_onnx(back, weights)) == data
