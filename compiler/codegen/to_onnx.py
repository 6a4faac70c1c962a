"""Write a network and its weights as ONNX: NCHW, batch 1, fp32, straight from the graph.

Opset 20 is the first with `Gelu`, IR version 10 the first whose nodes carry metadata. Every ONNX node that
computes a value of the graph has that value's name, its operator as `onepath.op` and its decision unit as
`onepath.unit`; where an operator takes two ONNX nodes, the first is named `<value>/…`. The model carries
the schema, the space's name and the choices. The same network and weights give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from compiler.architecture import Architecture, to_json
from compiler.ir.graph import INPUT, Network, Node
from compiler.passes.fold import Array, Parameters, for_inference, parameter_shapes

SCHEMA = "onepath.onnx/1"
OPSET = 20
IR_VERSION = 10


def to_onnx(network: Network, parameters: Parameters) -> onnx.ModelProto:
    """The network in inference form, batch norm folded, checked by ONNX's full checker.

    `parameters` are keyed `<node>.weight`, `.bias`, `.running_mean`, `.running_var`, in PyTorch's layouts;
    others than the network's are left out.

    Raises:
        ValueError: a parameter is missing or has another shape, or the network has no operator.
    """
    _check_parameters(network, parameters)
    ready, weights = for_inference(network, parameters)
    writer = _Writer(ready, weights)
    for node in ready.graph.nodes:
        if node.op != INPUT:
            _EMITTERS[node.op](writer, node)
    model = _model(ready, writer)
    onnx.checker.check_model(model, full_check=True)
    return model


def model_bytes(model: onnx.ModelProto) -> bytes:
    """The file of a model: the same bytes for the same model."""
    serialised: bytes = model.SerializeToString(deterministic=True)
    return serialised


def _check_parameters(network: Network, parameters: Parameters) -> None:
    if network.graph[network.graph.output].op == INPUT:
        raise ValueError(f"{network.name}: the output is the input; there is nothing to export")
    for name, shape in parameter_shapes(network).items():
        if name not in parameters:
            raise ValueError(f"{network.name}: parameter `{name}` {list(shape)} is missing")
        if parameters[name].shape != shape:
            found = list(parameters[name].shape)
            raise ValueError(f"{network.name}: parameter `{name}` is {found}, and must be {list(shape)}")


def _model(network: Network, writer: _Writer) -> onnx.ModelProto:
    graph = network.graph
    inputs = [_value(node.name, node) for node in graph.inputs]
    outputs = [_value(graph.output, graph[graph.output])]
    body = helper.make_graph(writer.nodes, network.name, inputs, outputs, list(writer.initializers.values()))
    model = helper.make_model(
        body, producer_name="onepath", ir_version=IR_VERSION, opset_imports=[helper.make_opsetid("", OPSET)]
    )
    architecture = to_json(Architecture(network.name, network.choices))
    choices = json.dumps(architecture["choices"], sort_keys=True, ensure_ascii=False)
    notes = {"onepath.schema": SCHEMA, "onepath.space": network.name, "onepath.choices": choices}
    helper.set_metadata_props(model, notes)
    return model


def _value(name: str, node: Node) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, *node.type.sizes])


@dataclass
class _Writer:
    """The nodes and constants of the model as they are written."""

    network: Network
    parameters: Mapping[str, Array]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: dict[str, onnx.TensorProto] = field(default_factory=dict)

    def emit(self, node: Node, kind: str, inputs: list[str], **attributes: Any) -> None:
        """The ONNX node that computes the value of `node`."""
        made = helper.make_node(kind, inputs, [node.name], name=node.name, **attributes)
        notes = {"onepath.op": node.op} | ({"onepath.unit": node.unit} if node.unit else {})
        helper.set_metadata_props(made, notes)
        self.nodes.append(made)

    def part(self, node: Node, kind: str, inputs: list[str], index: str = "", **attributes: Any) -> str:
        """An ONNX node that computes something on the way to the value of `node`; returns its output."""
        name = f"{node.name}/{kind.lower()}{index}"
        made = helper.make_node(kind, inputs, [name], name=name, **attributes)
        helper.set_metadata_props(made, {"onepath.part_of": node.name})
        self.nodes.append(made)
        return name

    def weight(self, node: Node, part: str, transpose: bool = False) -> str:
        """The initializer of one parameter of `node`."""
        array = self.parameters[f"{node.name}.{part}"]
        return self.constant(f"{node.name}.{part}", array.T if transpose else array)

    def constant(self, name: str, array: npt.NDArray[np.float32]) -> str:
        """An initializer; a slash keeps its name apart from a value that has the same."""
        name = name if name not in self.network.graph else f"{name}/constant"
        stored = np.ascontiguousarray(array, "<f4").reshape(array.shape)
        self.initializers.setdefault(name, numpy_helper.from_array(stored, name))
        return name

    def weights(self, node: Node) -> list[str]:
        """The weight of `node`, and its bias where it has one."""
        return [self.weight(node, "weight")] + ([self.weight(node, "bias")] if node.settings["bias"] else [])


_Emitter = Callable[[_Writer, Node], None]


def _ints(node: Node, name: str, count: int) -> list[int]:
    value = node.settings[name]
    assert isinstance(value, int)
    return [value] * count


def _conv(writer: _Writer, node: Node) -> None:
    groups = writer.network.graph[node.inputs[0]].type.sizes[0]
    writer.emit(
        node,
        "Conv",
        [node.inputs[0], *writer.weights(node)],
        kernel_shape=_ints(node, "kernel", 2),
        strides=_ints(node, "stride", 2),
        pads=_ints(node, "padding", 4),
        dilations=_ints(node, "dilation", 2),
        group=groups if node.op == "depthwise" else node.settings["groups"],
    )


def _linear(writer: _Writer, node: Node) -> None:
    if len(node.type.dimensions) == 1:
        writer.emit(node, "Gemm", [node.inputs[0], *writer.weights(node)], transB=1)
        return
    operands = [node.inputs[0], writer.weight(node, "weight", transpose=True)]
    if not node.settings["bias"]:
        writer.emit(node, "MatMul", operands)
        return
    product = writer.part(node, "MatMul", operands)
    writer.emit(node, "Add", [product, writer.weight(node, "bias")])


def _activation(kind: str, **attributes: float) -> _Emitter:
    def emit(writer: _Writer, node: Node) -> None:
        writer.emit(node, kind, list(node.inputs), **attributes)

    return emit


def _relu6(writer: _Writer, node: Node) -> None:
    bounds = [writer.constant(f"onepath/{value}", np.array(value, np.float32)) for value in (0, 6)]
    writer.emit(node, "Clip", [node.inputs[0], *bounds])


def _swish(writer: _Writer, node: Node) -> None:
    writer.emit(node, "Mul", [node.inputs[0], writer.part(node, "Sigmoid", list(node.inputs))])


def _zero(writer: _Writer, node: Node) -> None:
    writer.emit(node, "Mul", [node.inputs[0], writer.constant("onepath/0", np.array(0, np.float32))])


def _pool(kind: str, **attributes: int) -> _Emitter:
    def emit(writer: _Writer, node: Node) -> None:
        shape = {"kernel_shape": _ints(node, "kernel", 2), "strides": _ints(node, "stride", 2)}
        writer.emit(node, kind, list(node.inputs), **shape, pads=_ints(node, "padding", 4), **attributes)

    return emit


def _global_pool(writer: _Writer, node: Node) -> None:
    writer.emit(node, "Flatten", [writer.part(node, "GlobalAveragePool", list(node.inputs))], axis=1)


def _merge(pair: str, many: str) -> _Emitter:
    """Two operands take one node; one, or more than two, a chain from the left or a variadic node."""

    def emit(writer: _Writer, node: Node) -> None:
        kind = pair if len(node.inputs) == 2 else many
        writer.emit(node, kind, list(node.inputs))

    return emit


def _mul(writer: _Writer, node: Node) -> None:
    if len(node.inputs) == 1:
        writer.emit(node, "Identity", list(node.inputs))
        return
    product = node.inputs[0]
    for index, operand in enumerate(node.inputs[1:-1], start=1):
        product = writer.part(node, "Mul", [product, operand], str(index))
    writer.emit(node, "Mul", [product, node.inputs[-1]])


def _concat(writer: _Writer, node: Node) -> None:
    writer.emit(node, "Concat", list(node.inputs), axis=2 if len(node.type.dimensions) == 2 else 1)


_EMITTERS: Mapping[str, _Emitter] = {
    "conv": _conv,
    "depthwise": _conv,
    "linear": _linear,
    "relu": _activation("Relu"),
    "relu6": _relu6,
    "sigmoid": _activation("Sigmoid"),
    "hsigmoid": _activation("HardSigmoid", alpha=1 / 6, beta=0.5),
    "hswish": _activation("HardSwish"),
    "swish": _swish,
    "gelu": _activation("Gelu"),
    "tanh": _activation("Tanh"),
    "elu": _activation("Elu"),
    "max_pool": _pool("MaxPool"),
    "avg_pool": _pool("AveragePool", count_include_pad=0),
    "global_pool": _global_pool,
    "identity": _activation("Identity"),
    "zero": _zero,
    "add": _merge("Add", "Sum"),
    "mul": _mul,
    "concat": _concat,
}
