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
    expected = run(data, image)
    found = run(model_bytes(to_onnx(network, parameters)), image).reshape(expected.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
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


def one(kind: str, *inputs: str, **attributes: Any) -> list[onnx.NodeProto]:
    return [helper.make_node(kind, ["x", *inputs], ["y"], **attributes)]


WINDOWS = [
    (one("Conv", "w", strides=[2, 2], pads=[0, 0, 1, 1]), ["conv"]),
    (one("Conv", "w", strides=[2, 2], pads=[2, 0, 0, 1]), ["conv"]),
    (one("Conv", "w", strides=[2, 2], auto_pad="SAME_UPPER"), ["conv"]),
    (one("Conv", "w", strides=[2, 3], auto_pad="SAME_LOWER"), ["conv"]),
    (one("Conv", "w", dilations=[2, 2], pads=[0, 1, 4, 1]), ["conv"]),
    (one("Conv", "d", pads=[0, 0, 1, 1], group=6), ["depthwise"]),
    (one("MaxPool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1), ["max_pool"]),
    (one("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1]), ["max_pool"]),
    (one("MaxPool", kernel_shape=[2, 2], strides=[3, 3], ceil_mode=1), ["max_pool"]),
    (one("MaxPool", kernel_shape=[2, 2], strides=[3, 3], pads=[1] * 4, ceil_mode=1), ["max_pool"]),
    (one("MaxPool", kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1], ceil_mode=1), ["max_pool"]),
    (one("AveragePool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1), ["avg_pool"]),
    (one("AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1]), ["avg_pool"]),
    (one("AveragePool", kernel_shape=[3, 3], pads=[1] * 4, count_include_pad=1), ["depthwise"]),
    (one("AveragePool", kernel_shape=[3, 3], pads=[0, 0, 1, 1], count_include_pad=1), ["depthwise"]),
    (one("MaxPool", kernel_shape=[2, 2], pads=[0, 0, 1, 1]), ["max_pool", "crop"]),
    (one("MaxPool", kernel_shape=[2, 2], pads=[1, 0, 0, 1]), ["max_pool", "crop"]),
    (one("MaxPool", kernel_shape=[2, 2], auto_pad="SAME_UPPER"), ["max_pool", "crop"]),
    (one("MaxPool", kernel_shape=[5, 4], strides=[1, 2], pads=[0, 0, 2, 1]), ["max_pool", "crop"]),
    (one("AveragePool", kernel_shape=[2, 2], pads=[0, 0, 1, 1]), ["avg_pool", "crop"]),
    (one("AveragePool", kernel_shape=[8, 10]), ["global_pool"]),
    (one("AveragePool", kernel_shape=[9, 11], pads=[0, 0, 1, 1]), ["global_pool"]),
    (one("MaxPool", kernel_shape=[8, 10], strides=[5, 5]), ["global_max_pool"]),
]


@pytest.mark.parametrize(("nodes", "ops"), WINDOWS, ids=[str(place) for place in range(len(WINDOWS))])
def test_windows_with_padding_on_one_side(nodes: list[onnx.NodeProto], ops: list[str]) -> None:
    constants = {"w": weight(4, 6, 3, 3), "d": weight(6, 1, 2, 2)}
    assert kept(other(nodes, constants, (1, 6, 8, 10), 4), (1, 6, 8, 10)) == ops


SLICES = [
    ((1, 2, 3), (1, 2, 3), (4, 7, 9), (1, 1, 1), ["slice", "crop"]),
    ((1, 3), (0, 1), (3, -1), (1, 1), ["slice", "crop"]),
    ((1, 2, 3), (2, 0, 0), (6, 100, 100), (1, 1, 1), ["slice"]),
    ((0, 2), (0, 1), (1, 5), (1, 1), ["crop"]),
    ((1, 2, 3), (1, 0, 0), (5, 8, 10), (1, 2, 2), ["slice", "resize"]),
]


@pytest.mark.parametrize(("axes", "starts", "ends", "steps", "ops"), SLICES)
def test_a_slice_cuts_channels_rows_and_columns(
    axes: tuple[int, ...],
    starts: tuple[int, ...],
    ends: tuple[int, ...],
    steps: tuple[int, ...],
    ops: list[str],
) -> None:
    constants = {
        name: np.array(given) for name, given in zip("seat", (starts, ends, axes, steps), strict=True)
    }
    assert kept(other(one("Slice", *"seat"), constants, (1, 6, 8, 10), 4), (1, 6, 8, 10)) == ops


CONSTANTS = [
    ("Add", ["x", "c"], ["bn"]),
    ("Add", ["one", "x"], ["bn"]),
    ("Sub", ["x", "c"], ["bn"]),
    ("Sub", ["one", "x"], ["bn"]),
    ("Mul", ["c", "x"], ["layer_scale"]),
    ("Mul", ["x", "one"], ["layer_scale"]),
    ("Div", ["x", "c"], ["layer_scale"]),
    ("HardSigmoid", ["x"], ["bn", "hsigmoid"]),
]


@pytest.mark.parametrize(("kind", "inputs", "ops"), CONSTANTS)
def test_constants_scale_and_shift_channels(kind: str, inputs: list[str], ops: list[str]) -> None:
    constants = {"c": weight(6, 1, 1), "one": np.array([1.5], np.float32)}
    data = other([helper.make_node(kind, inputs, ["y"])], constants, (1, 6, 4, 5), 4)
    assert kept(data, (1, 6, 4, 5)) == ops


def hard(*order: str) -> list[onnx.NodeProto]:
    """relu6(x + 3), then a division by 6 and a product with x in this order."""
    made = {"Add": ["x", "three"], "Clip": ["zero", "six"], "Div": ["six"], "Mul": ["x"], "sixth": ["sixth"]}
    names = ["x", *[f"v{place}" for place in range(len(order) - 1)], "y"]
    nodes = []
    for place, step in enumerate(order):
        operands = made[step] if step == "Add" else [names[place], *made[step]]
        nodes.append(
            helper.make_node("Mul" if step == "sixth" else step, operands, [names[place + 1]], f"n{place}")
        )
    return nodes


HARD = [
    (("Add", "Clip", "Div"), ["hsigmoid"]),
    (("Add", "Clip", "Div", "Mul"), ["hswish"]),
    (("Add", "Clip", "Mul", "Div"), ["hswish"]),
    (("Add", "Clip", "sixth", "Mul"), ["hswish"]),
    (("Add", "Clip", "Mul", "sixth"), ["hswish"]),
    (("Add", "Clip"), ["bn", "relu6"]),
    (("Add", "Clip", "Mul"), ["bn", "relu6", "mul"]),
]


@pytest.mark.parametrize(("order", "ops"), HARD)
def test_hard_activations_of_several_nodes(order: tuple[str, ...], ops: list[str]) -> None:
    constants = {
        "three": np.float32(3),
        "zero": np.float32(0),
        "six": np.float32(6),
        "sixth": np.float32(1 / 6),
    }
    assert kept(other(hard(*order), constants, (1, 6, 4, 5), 4), (1, 6, 4, 5)) == ops


def test_a_reshape_to_sizes_that_are_computed() -> None:
    node = helper.make_node
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "zero"], ["batch"]),
        node("Unsqueeze", ["batch", "place"], ["b"]),
        node("Concat", ["b", "rest"], ["shape"], axis=0),
        node("Reshape", ["x", "shape"], ["f"]),
        node("Constant", [], ["w"], value=numpy_helper.from_array(weight(120, 3))),
        node("Gemm", ["f", "w", "c"], ["y"], alpha=0.5, beta=2.0),
    ]
    constants = {"zero": np.array(0), "place": np.array([0]), "rest": np.array([-1]), "c": weight(3)}
    assert kept(other(nodes, constants, (1, 6, 4, 5), 2), (1, 6, 4, 5)) == ["flatten", "linear"]


@pytest.mark.parametrize(("shape", "axis"), [((1, 6), 1), ((1, 6, 1, 1), 1), ((1, 7, 6), 2)])
def test_softmax_before_opset_13_is_over_all_that_follows(shape: tuple[int, ...], axis: int) -> None:
    nodes = one("Softmax", axis=axis)
    if len(shape) == 4:
        nodes = [helper.make_node("GlobalMaxPool", ["x"], ["p"]), helper.make_node("Softmax", ["p"], ["y"])]
        shape = (1, 6, 3, 3)
    model = parse_model(other(nodes, {}, shape, len(shape)))
    model.opset_import[0].version = 11
    assert kept(model.SerializeToString(), shape)[-1] == "softmax"
    images = parse_model(other(one("Softmax"), {}, (1, 6, 4, 4), 4))
    images.opset_import[0].version = 11
    with pytest.raises(OnnxProblem, match="before opset 13 it is over all dimensions from 1 on"):
        from_onnx(images)
