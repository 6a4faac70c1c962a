"""The network that grows while an ONNX model is read, node by node."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from compiler.ir.expression import Value
from compiler.ir.graph import INPUT, Graph, GraphBuilder, Node
from compiler.ir.ops import OPERATORS, complete
from compiler.ir.types import Dimensions, TensorType
from compiler.passes.fold import Array


class OnnxProblem(ValueError):
    """A model that cannot be read into a network: which node, what is wrong, what is supported."""


@dataclass(frozen=True, slots=True)
class Operand:
    """A value of the network, and the form that ONNX has it in (`onnx_views`), "" for the network's own.

    `groups` are the groups of channels, or heads, of some forms; `others` the further operands and `factor` the
    number of products that are not complete yet.
    """

    node: str
    form: str = ""
    groups: int = 0
    others: tuple[Operand, ...] = ()
    factor: float = 1.0


class Reader:
    """Values, constants and the nodes made so far.

    `ours` is a model that `to_onnx` wrote, `opset` the version of ONNX's operators, `absorbed` the results of nodes
    that were read together with one before them, `computed_bytes` a bound of the constants that were computed.
    """

    def __init__(self, graph: onnx.GraphProto, ours: bool, opset: int) -> None:
        self.ours = ours
        self.opset = opset
        self.nodes: dict[str, Node] = {}
        self.values: dict[str, Operand] = {}
        self.parameters: dict[str, Array] = {}
        self.constants: dict[str, npt.NDArray[Any]] = {}
        for tensor in graph.initializer:
            self.constants[tensor.name] = numpy_helper.to_array(tensor)
        self._uses = Counter(name for node in graph.node for name in node.input)
        self._uses.update(value.name for value in graph.output)
        self._readers = {name: node for node in graph.node for name in node.input}
        self.absorbed: set[str] = set()
        self.computed_bytes = 0
        self._parts: dict[str, str] = {}
        self._root: dict[str, str] = {}

    def add_input(self, name: str, type_: TensorType) -> None:
        """The value that enters."""
        self.values[name] = Operand(self._unique(name))
        self.nodes[self.values[name].node] = Node(self.values[name].node, INPUT, (), type_)

    def add(
        self,
        source: onnx.NodeProto,
        op: str,
        operands: Sequence[Operand],
        given: Mapping[str, Value] | None = None,
        weights: Mapping[str, npt.NDArray[Any]] | None = None,
        form: str = "",
        part: str = "",
    ) -> None:
        """Make the node of the first output of `source`, its type computed and its weights checked.

        `part` names what is only a part of what `source` computes.

        Raises:
            TypeProblem: operands or attributes do not fit the operator.
            OnnxProblem: a weight has another shape or type.
        """
        operator = OPERATORS[op]
        attributes = complete(operator, given or {})
        inputs = tuple(operand.node for operand in operands)
        result = operator.result([self.nodes[name].type for name in inputs], attributes)
        name = self._unique("_".join(filter(None, (source.name or source.op_type.lower(), part))))
        notes = _notes(source)
        unit = notes.get("onepath.unit", "")
        node = Node(name, op, inputs, result, tuple(attributes.items()), unit=unit)
        self._keep_weights(source, node, weights or {})
        self.nodes[name] = node
        self.values[source.output[0]] = Operand(name, form)
        if "onepath.part_of" in notes:
            self._parts[name] = notes["onepath.part_of"]

    def _keep_weights(
        self, source: onnx.NodeProto, node: Node, weights: Mapping[str, npt.NDArray[Any]]
    ) -> None:
        operand = self.nodes[node.inputs[0]].type.sizes
        operator = OPERATORS[node.op]
        wanted = {**operator.weights(operand, node.settings), **operator.statistics(operand, node.settings)}
        for part, shape in wanted.items():
            array = weights[part]
            if array.shape != shape or array.dtype != np.float32:
                found = f"{list(array.shape)} of {array.dtype}"
                raise OnnxProblem(
                    f"{self.label(source)}: its {part} is {found}, and must be float32 {list(shape)}"
                )
            self.parameters[f"{node.name}.{part}"] = np.ascontiguousarray(array)

    def take(
        self,
        source: onnx.NodeProto,
        index: int,
        *ops: str,
        where: Callable[[Node], bool] = lambda node: True,
    ) -> Node | None:
        """The node that `source` reads at `index`, taken out, if it is one of `ops` and read by nothing else.

        In a model of ours a node is taken in only where it was written as a part of the same value.
        """
        value = source.input[index]
        node = self.nodes[self.values[value].node]
        if node.op not in ops or self._uses[self._root.get(value, value)] != 1 or not where(node):
            return None
        whole = _notes(source).get("onepath.part_of", source.name)
        if self.ours and self._parts.get(node.name) != whole:
            return None
        return self.nodes.pop(node.name)

    def reader_of(self, source: onnx.NodeProto, kind: str) -> onnx.NodeProto | None:
        """The node that alone reads the result of `source`, if it is of this kind."""
        value = source.output[0]
        found = self._readers.get(value)
        return found if found is not None and self._uses[value] == 1 and found.op_type == kind else None

    def pass_on(self, source: onnx.NodeProto, view: Operand | None = None) -> None:
        """The result of `source` is what it reads first, under another name, or in another form."""
        value, result = source.input[0], source.output[0]
        root = self._root.get(value, value)
        self._root[result] = root
        self._uses[root] += self._uses[result] - 1
        self.values[result] = view or self.view(source)

    def weights_of(self, node: Node) -> dict[str, Array]:
        """The parameters of a node that was taken, taken as well."""
        keys = [key for key in self.parameters if key.rpartition(".")[0] == node.name]
        return {key.rpartition(".")[2]: self.parameters.pop(key) for key in keys}

    def operand(self, source: onnx.NodeProto, index: int = 0, *forms: str) -> Operand:
        """The value that `source` reads at `index`, in one of these forms: its own, or of a pixel, if none is given.

        Raises:
            OnnxProblem: it is a constant, or in another form.
        """
        operand = self.view(source, index)
        if operand.form not in (forms or ("", "pixel")):
            raise self.refuse(
                source, f"its operand {index + 1} is reshaped in a way that is not supported here"
            )
        return operand

    def view(self, source: onnx.NodeProto, index: int = 0) -> Operand:
        """The value that `source` reads at `index`, in whatever form.

        Raises:
            OnnxProblem: it is a constant.
        """
        name = source.input[index]
        if name not in self.values:
            raise self.refuse(source, f"its operand {index + 1} is a constant, which is not supported")
        return self.values[name]

    def is_part(self, source: onnx.NodeProto) -> bool:
        """Whether `source` is a part of a value, and not the last, in a model of ours."""
        return self.ours and "onepath.part_of" in _notes(source)

    def type_of(self, operand: Operand) -> TensorType:
        """The type of a value."""
        return self.nodes[operand.node].type

    def sizes(self, operand: Operand) -> Dimensions:
        """The dimensions of a value."""
        return self.type_of(operand).sizes

    def image_sizes(self, operand: Operand) -> Dimensions:
        """Height and width of an image or a pixel; nothing of other values."""
        sizes = self.sizes(operand)
        return (1, 1) if operand.form == "pixel" else sizes[1:] if len(sizes) == 3 else ()

    def constant(self, source: onnx.NodeProto, index: int) -> npt.NDArray[Any] | None:
        """The constant that `source` reads at `index`, None where it reads nothing there.

        Raises:
            OnnxProblem: it is computed, so its value is not known.
        """
        if index >= len(source.input) or not source.input[index]:
            return None
        if source.input[index] not in self.constants:
            raise self.refuse(source, f"its operand {index + 1} must be a constant")
        return self.constants[source.input[index]]

    def weight(self, source: onnx.NodeProto, index: int) -> npt.NDArray[Any]:
        """The constant that `source` must read at `index`.

        Raises:
            OnnxProblem: there is none.
        """
        array = self.constant(source, index)
        if array is None:
            raise self.refuse(source, f"its operand {index + 1} is missing")
        return array

    def hint(self, source: onnx.NodeProto) -> str:
        """The operator that `to_onnx` wrote this node for, "" in models of others."""
        return _notes(source).get("onepath.op", "") if self.ours else ""

    def label(self, source: onnx.NodeProto) -> str:
        """How messages name a node."""
        domain = f"{source.domain}." if source.domain else ""
        return f"node `{source.name or source.output[0]}` ({domain}{source.op_type})"

    def refuse(self, source: onnx.NodeProto, reason: str) -> OnnxProblem:
        """The problem to raise for a node."""
        return OnnxProblem(f"{self.label(source)}: {reason}")

    def build(self, output: str) -> Graph:
        """The graph that computes `output`."""
        builder = GraphBuilder()
        for node in self.nodes.values():
            builder.add(node)
        return builder.build(output)

    def live_parameters(self, output: str) -> dict[str, Array]:
        """The parameters of the nodes that `output` needs."""
        live = self.build(output)
        return {key: array for key, array in self.parameters.items() if key.rpartition(".")[0] in live}

    def _unique(self, wanted: str) -> str:
        """`wanted` as a name of the graph: our own stay as they are, others become words."""
        name = wanted if self.ours else re.sub(r"\W+", "_", wanted, flags=re.ASCII).strip("_") or "value"
        if not self.ours and name[0].isdigit():
            name = f"n{name}"
        unique, count = name, 1
        while unique in self.nodes:
            count += 1
            unique = f"{name}_{count}"
        return unique


Rule = Callable[[Reader, onnx.NodeProto], None]
"""How nodes of one kind are read."""


def _notes(source: onnx.NodeProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in source.metadata_props}


def attributes_of(source: onnx.NodeProto) -> dict[str, Any]:
    """The attributes of a node as Python values."""
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in source.attribute}
