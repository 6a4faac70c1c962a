"""Networks as terms: numbers that are equal where two networks apply the same operators to the same values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from compiler.ir.expression import Value
from compiler.ir.graph import Network
from compiler.ir.ops import OPERATORS, complete
from compiler.ir.types import TensorType

MERGES = ("add", "concat", "mul")


@dataclass(frozen=True)
class Term:
    """A value of a network: its number in the table and its type."""

    number: int
    type: TensorType


@dataclass
class Terms:
    """The table of all terms that were met. Identities, zeros that are added and merges of one value are left out."""

    _numbers: dict[object, int] = field(default_factory=dict)
    _zeros: set[int] = field(default_factory=set)
    _applied: dict[object, Term] = field(default_factory=dict)

    def entering(self, name: str, type_: TensorType) -> Term:
        """An input."""
        return self._term(("input", name), type_)

    def apply(self, op: str, operands: Sequence[Term], given: Mapping[str, Value]) -> Term:
        """An operator; its type is worked out by the operator's own rule."""
        key = (op, tuple(operands), tuple((name, type(value), value) for name, value in given.items()))
        if key not in self._applied:
            self._applied[key] = self._apply(op, operands, given)
        return self._applied[key]

    def _apply(self, op: str, operands: Sequence[Term], given: Mapping[str, Value]) -> Term:
        attributes = complete(OPERATORS[op], given)
        type_ = OPERATORS[op].result([each.type for each in operands], attributes)
        if op == "identity":
            return operands[0]
        if op == "add":
            operands = [each for each in operands if each.number not in self._zeros] or operands[:1]
        if op in MERGES and len(operands) == 1:
            return operands[0]
        numbers = tuple(each.number for each in operands)
        term = self._term((op, tuple(sorted(attributes.items())), numbers), type_)
        if op == "zero":
            self._zeros.add(term.number)
        return term

    def _term(self, key: tuple[object, ...], type_: TensorType) -> Term:
        return Term(self._numbers.setdefault((*key, type_), len(self._numbers)), type_)

    def of(self, network: Network) -> Term:
        """The term of a network's output."""
        found: dict[str, Term] = {}
        for node in network.graph.nodes:
            operands = [found[operand] for operand in node.inputs]
            if node.op == "input":
                found[node.name] = self.entering(node.name, node.type)
            else:
                found[node.name] = self.apply(node.op, operands, node.settings)
        return found[network.graph.output]
