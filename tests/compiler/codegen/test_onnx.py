"""ONNX says what the graph says: torch and ONNX Runtime agree, and what was written reads back equal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from compiler.codegen import onnx_constants
from compiler.codegen.from_onnx import from_onnx, parse_model, read_model
from compiler.codegen.onnx_reader import OnnxProblem
from compiler.codegen.to_onnx import model_bytes, to_onnx
from compiler.ir.expression import Value
from compiler.ir.graph import INPUT, Graph, GraphBuilder, Network, Node
from compiler.ir.ops import ACTIVATIONS, OPERATORS, complete
from compiler.ir.types import TensorType
from compiler.passes.fold import drop_dropout, fold_batch_norm, fold_graph, for_inference, parameter_shapes


class Draft:
    """A few lines that build a network, one call a node."""

    def __init__(self, *sizes: int) -> None:
        self.builder = GraphBuilder()
        self.builder.add(Node("image", INPUT, (), TensorType(sizes)))

    def add(self, name: str, op: str, *operands: str, unit: str = "", **given: Value) -> str:
        operator = OPERATORS[op]
        attributes = complete(operator, given)
        type_ = operator.result([self.builder[operand].type for operand in operands], attributes)
        return self.builder.add(Node(name, op, operands, type_, tuple(attributes.items()), unit=unit))

    def network(self, output: str, choices: Mapping[str, Any] | None = None) -> Network:
        return Network("small", self.builder.build(output), choices or {})


def residual_network() -> Network:
    draft = Draft(3, 8, 8)
    draft.add("stem.conv", "conv", "image", out=8, kernel=3, stride=2)
    draft.add("stem.bn", "bn", "stem.conv", eps=Fraction(1, 1000))
    draft.add("stem.act", "relu6", "stem.bn")
    draft.add("layer1.depthwise", "depthwise", "stem.act", kernel=5, unit="layer1.path")
    draft.add("layer1.bn", "bn", "layer1.depthwise", unit="layer1.path")
    draft.add("layer1.add", "add", "layer1.bn", "stem.act", unit="layer1.path")
    draft.add("drop", "dropout", "layer1.add")
    draft.add("pool", "global_pool", "drop")
    draft.add("head", "linear", "pool", out=4)
    return draft.network(
        "head", {"layer1.path": "mbconv", "width": Fraction(7, 2), "wide": True, "kernel": 5}
    )


def every_operator() -> Network:
    draft = Draft(4, 9, 9)
    value = draft.add("grouped", "conv", "image", out=8, kernel=3, groups=2, dilation=2, bias=True)
    for op in ACTIVATIONS:
        value = draft.add(f"a.{op}", op, value)
    one = draft.add("p.max", "max_pool", value, kernel=3, stride=2)
    two = draft.add("p.avg", "avg_pool", value, kernel=3, stride=2)
    gate = draft.add("gate", "sigmoid", one)
    draft.add("product", "mul", one, gate, two, one)
    draft.add("nothing", "zero", two)
    draft.add("same", "identity", one)
    draft.add("sum", "add", "product", "nothing", "same")
    draft.add("pair", "mul", "sum", gate)
    draft.add("single", "mul", "pair")
    draft.add("alone", "add", "single")
    draft.add("joined", "concat", "alone", two)
    draft.add("norm", "bn", "joined")
    draft.add("narrow", "depthwise", "norm", kernel=3)
    draft.add("one", "conv", "narrow", out=1, kernel=1)
    draft.add("one.dw", "depthwise", "one", kernel=3)
    draft.add("wide", "conv", "one.dw", out=6, kernel=1)
    draft.add("pool", "global_pool", "wide")
    draft.add("vector.bn", "bn", "pool")
    draft.add("left", "linear", "vector.bn", out=6, bias=False)
    draft.add("both", "concat", "left", "vector.bn")
    return draft.network(draft.add("head", "linear", "both", out=3))


def token_network() -> Network:
    draft = Draft(5, 6)
    draft.add("up", "linear", "image", out=8)
    draft.add("act", "gelu", "up")
    draft.add("down", "linear", "act", out=6, bias=False)
    draft.add("both", "concat", "down", "image")
    return draft.network("both")


def parameters_of(network: Network, seed: int = 0) -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
    random = np.random.default_rng(seed)
    return {
        name: (
            np.abs(random.normal(size=shape)) + 0.5 if "var" in name else random.normal(size=shape) * 0.5
        ).astype(np.float32)
        for name, shape in parameter_shapes(network).items()
    }


def run(model: onnx.ModelProto, image: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    session = onnxruntime.InferenceSession(model_bytes(model), providers=["CPUExecutionProvider"])
    result: np.ndarray[Any, Any] = session.run(None, {model.graph.input[0].name: image})[0]
    return result


NETWORKS = [residual_network(), every_operator(), token_network()]
everywhere = pytest.mark.parametrize("network", NETWORKS, ids=["residual", "operators", "tokens"])


def image_for(network: Network) -> np.ndarray[Any, np.dtype[np.float32]]:
    sizes = network.graph.inputs[0].type.sizes
    return np.random.default_rng(1).normal(size=(1, *sizes)).astype(np.float32)


def torch_result(
    network: Network, parameters: Mapping[str, Any], image: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    torch = pytest.importorskip("torch")
    from compiler.nets.network import build_network

    module = build_network(network).eval()
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            tensor.copy_(torch.from_numpy(parameters[name]))
        result: np.ndarray[Any, Any] = module(torch.from_numpy(image)).numpy()
    return result


@pytest.mark.torch
@everywhere
def test_torch_and_onnx_runtime_agree(network: Network) -> None:
    parameters, image = parameters_of(network), image_for(network)
    expected = torch_result(network, parameters, image)
    np.testing.assert_allclose(run(to_onnx(network, parameters), image), expected, rtol=1e-4, atol=1e-5)
    folded, weights = for_inference(network, parameters)
    np.testing.assert_allclose(torch_result(folded, weights, image), expected, rtol=1e-4, atol=1e-5)


@everywhere
def test_what_was_written_reads_back_equal(network: Network) -> None:
    parameters = parameters_of(network)
    ready, weights = for_inference(network, parameters)
    back, read = from_onnx(parse_model(model_bytes(to_onnx(network, parameters))))
    assert back == ready
    assert read.keys() == weights.keys()
    assert all(np.array_equal(read[name], weights[name]) for name in weights)
    assert model_bytes(to_onnx(back, read)) == model_bytes(to_onnx(network, parameters))


@everywhere
def test_folding_without_parameters_gives_the_same_graph(network: Network) -> None:
    assert fold_graph(network.graph) == for_inference(network, parameters_of(network))[0].graph


def test_folding_stops_at_a_decision_and_at_a_second_reader() -> None:
    draft = Draft(3, 4, 4)
    draft.add("a", "conv", "image", out=4, kernel=1, unit="x")
    draft.add("n", "bn", "a")
    draft.add("m", "bn", "n")
    draft.add("b", "conv", "m", out=4, kernel=1)
    draft.add("k", "bn", "b")
    network = draft.network(draft.add("s", "add", "b", "k"))
    folded, weights = fold_batch_norm(network, parameters_of(network))
    assert [(node.name, node.op) for node in folded.graph.nodes[1:]] == [
        ("a", "conv"), ("n", "depthwise"), ("b", "conv"), ("k", "depthwise"), ("s", "add")
    ]  # fmt: skip
    assert set(weights) == {"a.weight", "n.weight", "n.bias", "b.weight", "k.weight", "k.bias"}


def test_the_model_carries_units_space_and_choices() -> None:
    network = residual_network()
    model = to_onnx(network, parameters_of(network))
    notes = {entry.key: entry.value for entry in model.metadata_props}
    assert notes["onepath.schema"] == "onepath.onnx/1"
    assert notes["onepath.space"] == "small"
    units = {
        node.name: [e.value for e in node.metadata_props if e.key == "onepath.unit"]
        for node in model.graph.node
    }
    assert units["layer1.depthwise"] == ["layer1.path"]
    assert units["stem.conv"] == []


def test_missing_and_misshapen_parameters_are_named() -> None:
    network = residual_network()
    parameters = parameters_of(network)
    with pytest.raises(ValueError, match=r"`head\.bias` is \[3\], and must be \[4\]"):
        to_onnx(network, parameters | {"head.bias": np.zeros(3, np.float32)})
    del parameters["stem.bn.running_var"]
    with pytest.raises(ValueError, match=r"`stem\.bn\.running_var` \[8\] is missing"):
        to_onnx(network, parameters)


def other_model(
    nodes: list[onnx.NodeProto],
    constants: Mapping[str, Any],
    shape: tuple[Any, ...] = ("N", 3, 8, 8),
    rank: int = 4,
) -> onnx.ModelProto:
    """A model as another program would write it: names with slashes, a free batch."""
    graph = helper.make_graph(
        nodes,
        "other/net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [f"d{i}" for i in range(rank)])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def weight(*shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(3).normal(size=shape).astype(np.float32)


def classifier() -> onnx.ModelProto:
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "w"], ["c"], name="/stem/Conv", pads=[1] * 4, strides=[2, 2]),
        node("Add", ["c", "cb"], ["cc"]),
        node("BatchNormalization", ["cc", "g", "b", "m", "v"], ["n"], name="/stem/Norm", epsilon=1e-3),
        node("Clip", ["n", "zero", "six"], ["r"]),
        node("Conv", ["r", "dw"], ["d"], pads=[1] * 4, group=8),
        node("HardSigmoid", ["d"], ["hs"], alpha=1 / 6),
        node("Mul", ["d", "hs"], ["h"]),
        node("Dropout", ["h"], ["dropped"]),
        node("Sigmoid", ["dropped"], ["s"]),
        node("Mul", ["s", "dropped"], ["sw"]),
        node("GlobalAveragePool", ["sw"], ["gap"]),
        node("Conv", ["gap", "pw", "pb"], ["pix"]),
        node("HardSwish", ["pix"], ["pixa"]),
        node("Reshape", ["pixa", "flat"], ["f"]),
        node("MatMul", ["f", "fc"], ["mm"]),
        node("Add", ["fb", "mm"], ["y"], name="logits"),
    ]
    constants = {
        "w": weight(8, 3, 3, 3), "cb": weight(1, 8, 1, 1), "g": weight(8), "b": weight(8), "m": weight(8),
        "v": np.abs(weight(8)), "zero": np.float32(0), "six": np.float32(6), "dw": weight(8, 1, 3, 3),
        "pw": weight(5, 8, 1, 1), "pb": weight(5), "flat": np.array([1, -1]), "fc": weight(5, 3), "fb": weight(3),
    }  # fmt: skip
    return other_model(nodes, constants, rank=2)


def test_a_model_of_another_program_is_read() -> None:
    network, parameters = from_onnx(classifier())
    assert [node.op for node in network.graph.nodes[1:]] == [
        "conv", "bn", "relu6", "depthwise", "hswish", "swish", "global_pool", "linear", "hswish", "linear"
    ]  # fmt: skip
    assert network.graph.output == "logits"
    assert network.graph.nodes[2].name == "stem_Norm"
    image = image_for(network)
    np.testing.assert_allclose(
        run(to_onnx(network, parameters), image), run(classifier(), image), rtol=1e-4, atol=1e-5
    )


def _one(kind: str, *inputs: str, **attributes: Any) -> list[onnx.NodeProto]:
    return [helper.make_node(kind, ["x", *inputs], ["y"], name="here", **attributes)]


REFUSED = [
    (_one("Softsign"), {}, "supported are"),
    (_one("Selu"), {}, r"node `here` \(Selu\) is not supported"),
    (_one("Floor"), {}, r"node `here` \(Floor\): it is only supported where all that it reads is constant"),
    (_one("Softmax"), {}, "over the channels"),
    (_one("Elu", alpha=0.5), {}, "alpha 0.5"),
    (_one("Clip", "a", "b"), {"a": np.float32(-1), "b": np.float32(1)}, "bounds -1 and 1"),
    (_one("Conv", "w", dilations=[1, 2]), {"w": weight(2, 3, 3, 3)}, "that differ"),
    (_one("Conv", "w", pads=[0, 0, 1, 1], dilations=[2, 2]), {"w": weight(2, 3, 3, 3)}, "does not divide"),
    (_one("ConvTranspose", "w", strides=[2, 1]), {"w": weight(3, 2, 3, 3)}, "not square"),
    (_one("ConvTranspose", "w", pads=[0, 0, 1, 1]), {"w": weight(3, 2, 3, 3)}, "not symmetric"),
    (
        _one("AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4, count_include_pad=1, ceil_mode=1),
        {},
        "counts in the average",
    ),
    (_one("MaxPool", kernel_shape=[3, 3], pads=[0, 0, 2, 2]), {}, r"pads of \[0, 2\] down and \[0, 2\] across"),
    (_one("LeakyRelu", alpha=-0.5), {}, "slope"),
    (_one("MaxPool", kernel_shape=[2, 2], dilations=[2, 2]), {}, "dilation and indices"),
    (_one("Flatten", axis=2), {}, "does not make"),
    (_one("Reshape", "s"), {"s": np.array([1, 3, 4, 16])}, "is not an operator"),
    (_one("Transpose", perm=[0, 2, 3, 1]), {}, "output is reshaped"),
    (_one("Transpose", perm=[0, 2, 1, 3]), {}, "permutation"),
    (_one("Slice", *"abcd"), dict(zip("abcd", np.array([[0], [8], [2], [3]]), strict=True)), "rows and col"),
    (_one("Slice", *"abcd"), dict(zip("abcd", np.array([[0], [3], [1], [2]]), strict=True)), "every 2 channels"),
    (_one("Resize", "", "f"), {"f": np.array([1, 1, 2, 3], np.float32)}, "only nearest"),
    (_one("Gather", "i"), {"i": np.array(0)}, "one of the tokens"),
    (_one("LayerNormalization", "g"), {"g": weight(8)}, "over the channels"),
    (_one("Mul", "c"), {"c": weight(8)}, r"a constant of \[8\] is not supported there"),
    (_one("Add", "c"), {"c": weight(1, 8, 8)}, r"a constant of \[1, 8, 8\] is not supported there"),
    (_one("Div", "c"), {"c": np.float32(0)}, "divides by zero"),
    (_one("Sub", "x"), {}, "taken from another"),
    (_one("ReduceMean", axes=[1]), {}, "over height and width"),
    (_one("Concat", "x", axis=2), {}, "only channels"),
    (_one("Conv", "w"), {"w": weight(2, 5, 3, 3)}, "here"),
    (_one("Conv", "w"), {"w": weight(2, 3, 3, 3).astype(np.float64)}, "checker refuses"),
    (_one("MaxPool", kernel_shape=[0, 0]), {}, "(here|checker)"),
    (_one("MaxPool", kernel_shape=[10**9] * 2, pads=[10**9] * 4), {}, "(here|checker)"),
    (_one("Conv", "w", dilations=[0, 0]), {"w": weight(2, 3, 3, 3)}, "(here|checker)"),
]  # fmt: skip


@pytest.mark.parametrize(("nodes", "constants", "message"), REFUSED, ids=[m for _, _, m in REFUSED])
def test_what_a_network_cannot_hold_is_named(
    nodes: list[onnx.NodeProto], constants: Mapping[str, Any], message: str
) -> None:
    with pytest.raises(OnnxProblem, match=message):
        from_onnx(other_model(nodes, constants, rank={"Flatten": 2, "Gather": 3}.get(nodes[0].op_type, 4)))


def test_all_that_cannot_be_read_is_named_once() -> None:
    """What reads the result of a node that cannot be read is no second problem."""
    nodes = [
        helper.make_node("Softsign", ["x"], ["a"], "first"),
        helper.make_node("Elu", ["x"], ["b"], "second", alpha=0.5),
        helper.make_node("Add", ["a", "b"], ["c"], "sum"),
        helper.make_node("Selu", ["c"], ["d"], "third"),
        helper.make_node("Softmax", ["d"], ["y"], "last"),
    ]
    with pytest.raises(OnnxProblem) as raised:
        from_onnx(other_model(nodes, {}))
    told = str(raised.value).splitlines()
    assert told[:4] == [
        "3 nodes cannot be read",
        "  node `first` (Softsign) is not supported",
        "  node `second` (Elu): alpha 0.5 is not supported; 1 is",
        "  node `third` (Selu) is not supported",
    ]
    assert told[4].startswith("supported are Add, ")
    many = [helper.make_node("Softsign", ["x"], [f"y{place}"]) for place in range(29)]
    with pytest.raises(
        OnnxProblem, match=r"^30 nodes cannot be read\n(.*\n){20}  and 10 more\nsupported are "
    ):
        from_onnx(other_model([*many, helper.make_node("Softsign", ["x"], ["y"])], {}))


def test_files_that_hold_no_model_are_refused(tmp_path: Path) -> None:
    whole = model_bytes(to_onnx(residual_network(), parameters_of(residual_network())))
    path = tmp_path / "m.onnx"
    for content in (b"", whole[: len(whole) // 2], b"PK\x03\x04" + whole):
        path.write_bytes(content)
        with pytest.raises(OnnxProblem):
            from_onnx(read_model(path))
    path.write_bytes(whole[:-1])
    with pytest.raises(OnnxProblem, match=r"m\.onnx: this is no ONNX model"):
        read_model(path)
    with path.open("wb") as file:
        file.truncate(2**31)  # a hole, which takes no place
    with pytest.raises(OnnxProblem, match=r"m\.onnx: this is larger than 2 GiB"):
        read_model(path)
    path.write_bytes(b"")
    with pytest.raises(OnnxProblem, match=r"m\.onnx: the file is empty \(0 bytes\): export the model again"):
        read_model(path)
    with pytest.raises(OnnxProblem, match="this is no file"):
        read_model(tmp_path)
    with pytest.raises(OnnxProblem, match="No such file"):
        read_model(tmp_path / "none.onnx")


def test_weights_that_are_no_numbers_are_refused() -> None:
    network = residual_network()
    parameters = parameters_of(network)
    first, second, *_ = sorted(name for name in parameters if name.endswith(".weight"))
    parameters[first].flat[:2] = np.nan
    with pytest.raises(
        OnnxProblem, match=rf"`{first}` holds 2 values of [\d,]+ that are NaN or infinite; did"
    ):
        from_onnx(to_onnx(network, parameters))
    parameters[second].flat[0] = np.inf
    with pytest.raises(
        OnnxProblem, match=r"infinite, and (1 other parameter has|\d other parameters have) some; did"
    ):
        from_onnx(to_onnx(network, parameters))


def test_hostile_models_are_refused() -> None:
    model = classifier()
    model.graph.initializer[0].data_location = TensorProto.EXTERNAL
    with pytest.raises(OnnxProblem, match="outside the file"):
        from_onnx(model)
    with pytest.raises(OnnxProblem, match="must be 1"):
        from_onnx(other_model(_one("Relu"), {}, (4, 3, 8, 8)))
    with pytest.raises(OnnxProblem, match="no ONNX model"):
        parse_model(b"\xff" * 100)
    with pytest.raises(OnnxProblem, match="computed by no operator"):
        from_onnx(other_model(_one("Identity"), {}))
    typed = other_model(_one("Relu"), {"unused": weight(2)})
    typed.graph.initializer[0].data_type = 999
    with pytest.raises(OnnxProblem, match="constant `unused` is of a type"):
        from_onnx(typed)
    typed.graph.initializer[0].data_type = TensorProto.FLOAT
    for size in (10**12, -2):
        typed.graph.initializer[0].dims[0] = size
        with pytest.raises(OnnxProblem):
            from_onnx(typed)
    foreign = other_model(_one("Relu"), {})
    helper.set_model_props(foreign, {"onepath.schema": "onepath.onnx/9"})
    with pytest.raises(OnnxProblem, match=r"reads onepath\.onnx/1"):
        from_onnx(foreign)


def test_constants_that_double_one_another_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """36 nodes would make 2 to the power of 37 elements."""
    monkeypatch.setattr(onnx_constants, "BYTES_CAP", 1 << 20)
    names = ["c", *[f"c{place}" for place in range(36)]]
    nodes = [helper.make_node("Concat", [old, old], [new], axis=0) for old, new in pairwise(names)]
    nodes += [helper.make_node("Reshape", ["x", names[-1]], ["y"])]
    with pytest.raises(
        OnnxProblem, match=r"node `c15` \(Concat\): more than 1 MiB of constants are not computed"
    ):
        from_onnx(other_model(nodes, {"c": np.array([1, -1])}, rank=2))
    huge = [
        helper.make_node("ConstantOfShape", ["c"], ["w"], "huge"),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    with pytest.raises(OnnxProblem, match=r"node `huge` \(ConstantOfShape\): more than 1 MiB"):
        from_onnx(other_model(huge, {"c": np.array([8, 2**40])}))


def test_flipped_bytes_never_end_in_anything_but_a_message() -> None:
    network = residual_network()
    whole = model_bytes(to_onnx(network, parameters_of(network)))
    random = np.random.default_rng(0)
    for at in random.integers(0, len(whole), 150):
        flipped = bytearray(whole)
        flipped[at] ^= 1 << int(random.integers(8))
        try:
            from_onnx(parse_model(bytes(flipped)))
        except OnnxProblem:
            continue


def test_dropping_dropout_leaves_the_rest() -> None:
    graph: Graph = drop_dropout(residual_network().graph)
    assert graph["pool"].inputs == ("layer1.add",)
    assert replace(graph["pool"], inputs=("drop",)) == residual_network().graph["pool"]
