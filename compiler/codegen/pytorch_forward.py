"""Statements of a `forward`: one a value, short chains of unary operators written as one expression."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from compiler.codegen.pytorch_functions import FUNCTIONS, TAKES_NAMES, module_writer
from compiler.codegen.pytorch_parts import Part
from compiler.ir.graph import Graph, Node

NAMES = ("x", "y", "z")


@dataclass(frozen=True)
class _Item:
    """One value of a forward: its operands, and how it is written from their texts."""

    name: str
    operands: tuple[str, ...]
    write: Callable[[list[str]], str]
    joins: bool


def forward_lines(part: Part, graph: Graph) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The parameters and the statements of the `forward` of a part that has an exit."""
    items = list(_items(part, graph, "self"))
    readers: dict[str, list[_Item]] = {}
    for item in items:
        for operand in dict.fromkeys(item.operands):
            readers.setdefault(operand, []).append(item)
    return _Writer(part, items, readers).write()


def _items(part: Part, graph: Graph, owner: str) -> Iterator[_Item]:
    """The values that a part computes, in order: through a child where one stands for them, else node by node."""
    modules = dict(_modules(part, owner))
    done: set[str] = set()
    for name in part.nodes:
        if name in done:
            continue
        child, access = modules.get(name, (None, ""))
        if child is None:
            yield _plain(graph[name], graph)
        elif child.node is not None:
            yield _module_call(child.node, access)
        else:
            done.update(child.nodes)
            assert child.exit is not None
            yield _Item(child.exit, tuple(child.entries), _call(access), False)


def _modules(part: Part, owner: str) -> Iterator[tuple[str, tuple[Part, str]]]:
    """The child that is called at a node, and the expression that reaches it."""
    for child in part.children.values():
        access = f"{owner}.{child.attribute}"
        if child.node is None and child.exit is None:
            yield from _modules(child, access)
        else:
            for name in child.nodes:
                yield name, (child, access)


def _call(access: str) -> Callable[[list[str]], str]:
    return lambda operands: f"{access}({', '.join(operands)})"


def _module_call(node: Node, access: str) -> _Item:
    write = module_writer(node)
    if write is None:
        return _Item(node.name, node.inputs, _call(access), node.op == "bn")
    return _Item(node.name, node.inputs, lambda texts: write(texts[0], access, node), False)


def _plain(node: Node, graph: Graph) -> _Item:
    function = FUNCTIONS[node.op]
    joins = len(node.inputs) == 1 and node.op not in TAKES_NAMES
    return _Item(node.name, node.inputs, lambda texts: function(texts, node, graph), joins)


class _Writer:
    """Gives values names, and drops a name after its last reader."""

    def __init__(self, part: Part, items: list[_Item], readers: dict[str, list[_Item]]) -> None:
        self.part, self.items, self.readers = part, items, readers
        self.places = {item.name: index for index, item in enumerate(items)}
        self.texts: dict[str, str] = {}
        self.lines: list[str] = []

    def write(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        for index, entry in enumerate(self.part.entries):
            self.texts[entry] = self._free(index)
        parameters = tuple(self.texts[entry] for entry in self.part.entries)
        for index, item in enumerate(self.items):
            text = item.write([self.texts[operand] for operand in item.operands])
            if item.name == self.part.exit and index == len(self.items) - 1:
                self.lines.append(f"return {text}")
            elif self._joins(item, index):
                self.texts[item.name] = text
                self._forget(item, index)
            else:
                self._forget(item, index)
                name = self._free(index)
                self.lines.append(f"{name} = {text}")
                self.texts[item.name] = name
        if not self.lines or not self.lines[-1].startswith("return"):
            self.lines.append(f"return {self.texts[self.part.exit or self.part.entries[0]]}")
        return parameters, tuple(self.lines)

    def _joins(self, item: _Item, index: int) -> bool:
        """Whether the value is written inside its only reader, which comes next."""
        readers = self.readers.get(item.name, [])
        following = index + 1 < len(self.items) and readers == [self.items[index + 1]]
        return following and readers[0].joins and item.name != self.part.exit

    def _forget(self, item: _Item, index: int) -> None:
        for operand in dict.fromkeys(item.operands):
            last = max(self.places[reader.name] for reader in self.readers[operand])
            if last <= index and operand != self.part.exit and item.name in self.places:
                self.texts.pop(operand, None)

    def _free(self, index: int) -> str:
        taken = " ".join(self.texts.values())
        candidates = (
            *NAMES,
            *(f"v{number}" for number in range(1, len(self.items) + len(self.part.entries) + 1)),
        )
        return next(name for name in candidates if not _uses(taken, name))


def _uses(texts: str, name: str) -> bool:
    words = texts.replace("(", " ").replace(")", " ").replace(",", " ").replace(".", " ").replace("[", " ")
    return name in words.replace("]", " ").split()


def is_chain(part: Part) -> bool:
    """True if the part is its children, each taking what the one before gives, and nothing else."""
    expected = part.entries
    for child in part.children.values():
        if child.exit is None or child.entries != expected or len(expected) != 1:
            return False
        if child.node is not None and module_writer(child.node) is not None:
            return False
        expected = [child.exit]
    covered = sum(len(child.nodes) for child in part.children.values())
    return covered == len(part.nodes) and expected == [part.exit]
