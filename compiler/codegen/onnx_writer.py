"""The nodes and constants of an ONNX model while it is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from compiler.ir.graph import Network, Node
from compiler.ir.types import Dimensions
from compiler.passes.fold import Array


@dataclass
class Writer:
    """Writes the values of a network one after another."""

    network: Network
    parameters: Mapping[str, Array]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: dict[str, onnx.TensorProto] = field(default_factory=dict)

    def emit(self, node: Node, kind: str, inputs: Sequence[str], **attributes: Any) -> None:
        """The ONNX node that computes the value of `node`."""
        made = helper.make_node(kind, list(inputs), [node.name], name=node.name, **attributes)
        notes = {"onepath.op": node.op} | ({"onepath.unit": node.unit} if node.unit else {})
        helper.set_metadata_props(made, notes)
        self.nodes.append(made)

    def part(
        self, node: Node, kind: str, inputs: Sequence[str], index: int | str = "", **attributes: Any
    ) -> str:
        """An ONNX node that computes something on the way to the value of `node`; returns its output."""
        name = f"{node.name}/{kind.lower()}{index}"
        made = helper.make_node(kind, list(inputs), [name], name=name, **attributes)
        helper.set_metadata_props(made, {"onepath.part_of": node.name})
        self.nodes.append(made)
        return name

    def sizes(self, node: Node, index: int = 0) -> Dimensions:
        """The dimensions of an operand."""
        return self.network.graph[node.inputs[index]].type.sizes

    def weight(self, node: Node, part: str, transpose: bool = False) -> str:
        """The initializer of one parameter of `node`."""
        array = self.parameters[f"{node.name}.{part}"]
        return self.constant(f"{node.name}.{part}", array.T if transpose else array)

    def shaped_weight(self, node: Node, *shape: int) -> str:
        """The initializer of the weight of `node`, in another shape."""
        return self.constant(f"{node.name}.weight", self.parameters[f"{node.name}.weight"].reshape(shape))

    def constant(self, name: str, array: npt.NDArray[np.float32]) -> str:
        """An initializer of floats; a slash keeps its name apart from a value that has the same."""
        return self._keep(name, np.ascontiguousarray(array, "<f4").reshape(array.shape))

    def integers(self, node: Node, name: str, *values: int) -> str:
        """An initializer of integers: a shape, axes, places."""
        return self._keep(f"{node.name}/{name}", np.array(values, "<i8"))

    def number(self, node: Node, name: str, value: int) -> str:
        """An initializer of one integer without a dimension."""
        return self._keep(f"{node.name}/{name}", np.array(value, "<i8"))

    def _keep(self, name: str, array: npt.NDArray[Any]) -> str:
        name = name if name not in self.network.graph else f"{name}/constant"
        self.initializers.setdefault(name, numpy_helper.from_array(array, name))
        return name

    def weights(self, node: Node) -> list[str]:
        """The weight of `node`, and its bias where it has one."""
        return [self.weight(node, "weight")] + ([self.weight(node, "bias")] if node.settings["bias"] else [])
