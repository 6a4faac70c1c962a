"""Every operator through ONNX: PyTorch, ONNX Runtime and what is read back agree; others' idioms are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from compiler.codegen.from_onnx import from_onnx, parse_model
from compiler.codegen.onnx_emitters import EMITTERS
from compiler.codegen.onnx_reader import OnnxProblem
from compiler.codegen.to_onnx import model_bytes, to_onnx
from compiler.ir.graph import Network
from compiler.ir.ops import OPERATORS
from compiler.passes.fold import FOLDED, for_inference
from tests.compiler.operator_cases import CASES, NETWORKS, Case, case_name, one_operator, randomised

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch
Array = np.ndarray[Any, Any]


def test_every_operator_is_written() -> None:
    assert set(EMITTERS) == set(OPERATORS) - {*FOLDED, "dropout"}


def run(data: bytes, image: Array) -> Array:
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    result: Array = session.run(None, {session.get_inputs()[0].name: image})[0]
    return result


def check(network: Network) -> None:
    """PyTorch and ONNX Runtime agree, and the model reads back as the network that was written."""
    from compiler.nets.network import build_network

    module = randomised(build_network(network)).eval()
    image = torch.randn(1, *network.graph.inputs[0].type.sizes, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = module(image).numpy()
    parameters = {key: tensor.contiguous().numpy() for key, tensor in module.state_dict().items()}
    data = model_bytes(to_onnx(network, parameters))
    np.testing.assert_allclose(
        run(data, image.numpy()), expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max()
    )
    ready, weights = for_inference(network, parameters)
    back, found = from_onnx(parse_model(data))
    assert back == ready
    assert found.keys() == weights.keys()
    assert all(np.array_equal(found[name], weights[name]) for name in weights)
    assert model_bytes(to_onnx(back, found)) == data


@pytest.mark.parametrize("case", [case for case in CASES if case[0] != "dropout"], ids=case_name)
def test_every_operator(case: Case) -> None:
    check(one_operator(*case))


@pytest.mark.parametrize("make", NETWORKS)
def test_networks_of_the_field(make: Callable[[], Network]) -> None:
    check(make())


def other(
    nodes: list[onnx.NodeProto], constants: Mapping[str, Array], shape: tuple[int, ...], rank: int
) -> bytes:
    """A model that another program wrote."""
    graph = helper.make_graph(
        nodes,
        "other",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [f"d{i}" for i in range(rank)])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    data: bytes = model.SerializeToString()
    return data


def weight(*shape: int) -> Array:
    return np.random.default_rng(3).normal(size=shape).astype(np.float32)


def kept(data: bytes, shape: tuple[int, ...]) -> list[str]:
    """The operators that a model is read as; the network read computes what the model does."""
    network, parameters = from_onnx(parse_model(data))
    image = weight(*shape)
    np.testing.assert_allclose(
        run(model_bytes(to_onnx(network, parameters)), image), run(data, image), rtol=1e-4, atol=1e-5
    )
    return [node.op for node in network.graph.nodes[1:]]


def test_squeeze_and_excitation_with_pixels() -> None:
    node = helper.make_node
    nodes = [
        node("GlobalAveragePool", ["x"], ["p"]),
        node("Conv", ["p", "w"], ["c"]),
        node("Sigmoid", ["c"], ["s"]),
        node("Mul", ["s", "x"], ["y"]),
    ]
    data = other(nodes, {"w": weight(6, 6, 1, 1)}, (1, 6, 4, 4), 4)
    assert kept(data, (1, 6, 4, 4)) == ["global_pool", "linear", "sigmoid", "mul"]


def test_layer_norm_between_permutations_and_a_layer_scale() -> None:
    node = helper.make_node
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[0, 2, 3, 1]),
        node("LayerNormalization", ["t", "g", "b"], ["n"], axis=-1),
        node("Tanh", ["n"], ["a"]),
        node("Transpose", ["a"], ["u"], perm=[0, 3, 1, 2]),
        node("Mul", ["s", "u"], ["y"]),
    ]
    constants = {"g": weight(6), "b": weight(6), "s": weight(6, 1, 1)}
    data = other(nodes, constants, (1, 6, 4, 5), 4)
    assert kept(data, (1, 6, 4, 5)) == ["layer_norm", "tanh", "layer_scale"]


def test_a_channel_shuffle_and_every_second_row() -> None:
    node = helper.make_node
    nodes = [
        node("Reshape", ["x", "five"], ["r"]),
        node("Transpose", ["r"], ["t"], perm=[0, 2, 1, 3, 4]),
        node("Reshape", ["t", "four"], ["u"]),
        node("Slice", ["u", "zero", "end", "axes", "steps"], ["y"]),
    ]
    constants = {
        "five": np.array([1, 3, -1, 4, 6]), "four": np.array([0, 6, 4, 6]), "zero": np.array([0, 0]),
        "end": np.array([2**31 - 1] * 2), "axes": np.array([2, 3]), "steps": np.array([2, 2]),
    }  # fmt: skip
    assert kept(other(nodes, constants, (1, 6, 4, 6), 4), (1, 6, 4, 6)) == ["channel_shuffle", "resize"]


def attention_nodes(scale: float) -> tuple[list[onnx.NodeProto], dict[str, Array]]:
    """Attention as PyTorch exports it: queries and keys each scaled, keys turned after they were split."""
    node = helper.make_node
    nodes = []
    for name in "qkv":
        nodes += [
            node("MatMul", ["x", f"w{name}"], [f"{name}0"]),
            node("Reshape", [f"{name}0", "split"], [f"{name}1"]),
            node("Transpose", [f"{name}1"], [f"{name}2"], perm=[0, 2, 1, 3]),
        ]
    nodes += [
        node("Transpose", ["k2"], ["k3"], perm=[0, 1, 3, 2]),
        node("Mul", ["q2", "half"], ["q4"]),
        node("Mul", ["k3", "half"], ["k4"]),
        node("MatMul", ["q4", "k4"], ["s"]),
        node("Softmax", ["s"], ["p"], axis=-1),
        node("MatMul", ["p", "v2"], ["o"]),
        node("Transpose", ["o"], ["o1"], perm=[0, 2, 1, 3]),
        node("Reshape", ["o1", "join"], ["y"]),
    ]
    constants = {f"w{name}": weight(8, 8) for name in "qkv"}
    constants |= {
        "half": np.array(scale, np.float32),
        "split": np.array([1, 5, 2, 4]),
        "join": np.array([1, 5, 8]),
    }
    return nodes, constants


def test_attention_of_another_program() -> None:
    nodes, constants = attention_nodes(0.5**0.5)
    assert kept(other(nodes, constants, (1, 5, 8), 3), (1, 5, 8)) == ["linear"] * 3 + ["attention"]


def test_attention_of_another_scale_is_refused() -> None:
    with pytest.raises(OnnxProblem, match=r"scaled by 1 / sqrt\(4\)"):
        from_onnx(parse_model(other(*attention_nodes(1.0), (1, 5, 8), 3)))


def test_a_vector_is_not_multiplied_along_the_last_dimension() -> None:
    """ONNX broadcasts from the right: [1, 4] by [1, 4, 4, 4] is one factor for each column, not channel."""
    node = helper.make_node
    nodes = [
        node("GlobalAveragePool", ["x"], ["p"]),
        node("Flatten", ["p"], ["f"]),
        node("Mul", ["f", "x"], ["y"]),
    ]
    with pytest.raises(OnnxProblem, match="differ in shape"):
        from_onnx(parse_model(other(nodes, {}, (1, 4, 4, 4), 4)))
