"""Write a network and its weights as ONNX: NCHW, batch 1, fp32, straight from the graph.

Opset 20 is the first with `Gelu`, IR version 10 the first whose nodes carry metadata. Every ONNX node that
computes a value of the graph has that value's name, its operator as `onepath.op` and its decision unit as
`onepath.unit`; where an operator takes several ONNX nodes, those before the last are named `<value>/…`. The
model carries the schema, the space's name and the choices. The same network and weights give the same bytes.
"""

from __future__ import annotations

import json

import onnx
from onnx import helper

from compiler.architecture import Architecture, to_json
from compiler.codegen.onnx_emitters import EMITTERS
from compiler.codegen.onnx_writer import Writer
from compiler.ir.graph import INPUT, Network, Node
from compiler.passes.fold import Parameters, for_inference, parameter_shapes

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
    writer = Writer(ready, weights)
    for node in ready.graph.nodes:
        if node.op != INPUT:
            EMITTERS[node.op](writer, node)
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


def _model(network: Network, writer: Writer) -> onnx.ModelProto:
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
