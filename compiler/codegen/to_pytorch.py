"""A network as readable PyTorch source that needs nothing but torch.

The names of the graph become modules: groups of the same structure share a class, whose arguments are the
numbers in which they differ. The source has the keys of `weights.safetensors`, and computes what
`compiler.nets.network.build_network` computes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from compiler.codegen.pytorch_forward import forward_lines, is_chain
from compiler.codegen.pytorch_parts import Part, Scalar, constructor, part_tree, renamed_keys
from compiler.codegen.rendering import render
from compiler.ir.expression import show
from compiler.ir.graph import Graph, Network

WIDTH = 100
RESERVED = frozenset({"Network", "Parts", "Learned", "Tensor", "F", "RENAMED"})
"""Names of the source's own, which no class may take."""


@dataclass(frozen=True)
class Slot:
    """A number of a constructor: literal, or an argument of the class it stands in."""

    text: str
    literal: Scalar | None = None


@dataclass(frozen=True)
class Shape:
    """The structure of a part without its numbers: parts of equal shape are instances of one class."""

    kind: str
    arguments: tuple[str, ...] = ()
    defaults: tuple[tuple[str, Scalar], ...] = ()
    children: tuple[tuple[str, Shape], ...] = ()
    parameters: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """A name for each number of an instance: attributes and argument, separated by slashes."""
        inner = tuple(f"{attribute}/{name}" for attribute, shape in self.children for name in shape.names)
        return self.arguments + inner


@dataclass
class ClassSource:
    """A class to be written: its arguments, the modules it makes, and its forward."""

    name: str
    shape: Shape
    instances: list[tuple[Scalar, ...]] = field(default_factory=list)
    arguments: tuple[tuple[str, str], ...] = ()
    slots: tuple[Slot, ...] = ()
    modules: tuple[tuple[str, str], ...] = ()

    def settle(self) -> None:
        """Numbers that are the same in all instances become literals; columns that agree, one argument."""
        named: dict[tuple[Scalar, ...], str] = {}
        slots = []
        for name, column in zip(self.shape.names, zip(*self.instances, strict=True), strict=True):
            if len({(type(value), value) for value in column}) == 1:
                slots.append(Slot(repr(column[0]), column[0]))
            else:
                short = _free("_".join(name.split("/")[-2:]), set(named.values()))
                slots.append(Slot(named.setdefault(column, short)))
        self.slots = tuple(slots)
        self.arguments = tuple((name, _annotation(column)) for column, name in named.items())

    @property
    def signature(self) -> str:
        """The parameters of `__init__`, on one line where they fit."""
        parts = ["self", *(f"{name}: {kind}" for name, kind in self.arguments)]
        flat = f"({', '.join(parts)})"
        return flat if len(flat) < WIDTH - 24 else "(\n        " + ",\n        ".join(parts) + ",\n    )"


def _annotation(column: Sequence[Scalar]) -> str:
    """The type of the numbers of an argument."""
    kinds = dict.fromkeys(
        "tuple[int, int]" if isinstance(value, tuple) else type(value).__name__ for value in column
    )
    return " | ".join(kinds)


def _free(name: str, taken: set[str]) -> str:
    candidates = (name, *(f"{name}_{number}" for number in range(2, 10_000)))
    return next(each for each in candidates if each not in taken)


@dataclass(frozen=True)
class SourceView:
    """What the template is given."""

    name: str
    inputs: str
    output: str
    choices: tuple[tuple[str, str], ...]
    classes: tuple[ClassSource, ...]
    renamed: Mapping[str, str]
    uses: frozenset[str]


def to_pytorch(network: Network) -> str:
    """The source of a module with one class `Network`; the same bytes for the same network."""
    root = part_tree(network)
    classes: dict[Shape, ClassSource] = {}
    shape, numbers = _shape(root, network.graph, classes, is_root=True)
    classes[shape] = ClassSource("Network", shape, [numbers])
    for each in classes.values():
        each.settle()
    for each in classes.values():
        each.modules = tuple(_modules(each, classes))
    return _render(network, root, tuple(classes.values()))


def _shape(
    part: Part, graph: Graph, classes: dict[Shape, ClassSource], is_root: bool = False
) -> tuple[Shape, tuple[Scalar, ...]]:
    """The shape and the numbers of a part; every class it needs is entered into `classes`, inner ones first."""
    if part.node is not None:
        kind, arguments, defaults = constructor(part.node, graph)
        return Shape(kind, tuple(arguments), tuple(defaults.items())), tuple(arguments.values())
    children: list[tuple[str, Shape]] = []
    numbers: list[Scalar] = []
    for child in part.children.values():
        if child.has_weights:
            shape, inner = _shape(child, graph, classes)
            children.append((child.attribute, shape))
            numbers += inner
    if part.exit is None or (is_chain(part) and not is_root):
        kind = "parts" if part.exit is None else "sequence"
        return Shape(kind, children=tuple(children)), tuple(numbers)
    parameters, lines = forward_lines(part, graph)
    made = Shape("class", children=tuple(children), parameters=parameters, lines=lines)
    if not is_root:
        name = _class_name(part, {each.name for each in classes.values()})
        classes.setdefault(made, ClassSource(name, made)).instances.append(tuple(numbers))
    return made, tuple(numbers)


def _class_name(part: Part, taken: set[str]) -> str:
    words = re.findall(r"[a-zA-Z]+", part.prefix.rpartition(".")[2]) or ["part"]
    name = "".join(word[0].upper() + word[1:] for word in words)
    candidates = (name, *(f"{name}{number}" for number in range(2, 10_000)))
    return next(each for each in candidates if each not in taken | RESERVED)


def _modules(made: ClassSource, classes: Mapping[Shape, ClassSource]) -> Iterator[tuple[str, str]]:
    slots = list(made.slots)
    for attribute, shape in made.shape.children:
        count = len(shape.names)
        call = _call(shape, slots[:count], classes)
        del slots[:count]
        yield attribute, _layout(call, 8, 8 + len(f"self.{attribute} = "))


@dataclass(frozen=True)
class _Call:
    head: str
    arguments: tuple[tuple[str, str | _Call], ...]


def _call(shape: Shape, slots: Sequence[Slot], classes: Mapping[Shape, ClassSource]) -> _Call:
    if shape.kind == "class":
        made = classes[shape]
        given = {own.text: slot.text for own, slot in zip(made.slots, slots, strict=True)}
        return _Call(made.name, tuple((name, given[name]) for name, _ in made.arguments))
    if shape.kind in ("sequence", "parts"):
        arguments, rest = [], list(slots)
        for attribute, child in shape.children:
            count = len(child.names)
            arguments.append((attribute, _call(child, rest[:count], classes)))
            del rest[:count]
        return _Call("sequence" if shape.kind == "sequence" else "Parts", tuple(arguments))
    defaults = dict(shape.defaults)
    kept = [
        ("" if name not in defaults else name, slot.text)
        for name, slot in zip(shape.arguments, slots, strict=True)
        if slot.literal is None or name not in defaults or slot.literal != defaults[name]
    ]
    return _Call(shape.kind, tuple(kept))


def _layout(call: str | _Call, indent: int, column: int) -> str:
    """The text of a call: on one line where it fits, else an argument a line."""
    if isinstance(call, str):
        return call
    flat = _flat(call)
    if column + len(flat) <= WIDTH or not call.arguments:
        return flat
    inner = " " * (indent + 4)
    lines = [
        f"{inner}{name}={_layout(value, indent + 4, indent + 5 + len(name))},"
        if name
        else f"{inner}{_layout(value, indent + 4, indent + 4)},"
        for name, value in call.arguments
    ]
    return "\n".join([f"{call.head}(", *lines, " " * indent + ")"])


def _flat(call: str | _Call) -> str:
    if isinstance(call, str):
        return call
    arguments = [f"{name}={_flat(value)}" if name else _flat(value) for name, value in call.arguments]
    return f"{call.head}({', '.join(arguments)})"


def _render(network: Network, root: Part, classes: tuple[ClassSource, ...]) -> str:
    text = "\n".join(line for each in classes for line in (*each.shape.lines, *(m for _, m in each.modules)))
    names = {"F": r"F\.", "torch": r"torch\."}
    names |= {name: rf"{name}\(" for name in ("sequence", "Parts", "Learned", "attention")}
    used = [name for name, pattern in names.items() if re.search(rf"(?<![\w.]){pattern}", text)]
    view = SourceView(
        _quotable(network.name),
        ", ".join(str(node.type) for node in network.graph.inputs),
        str(network.graph.type),
        tuple((_quotable(path), _quotable(show(choice))) for path, choice in network.choices.items()),
        classes,
        renamed_keys(root),
        frozenset(
            [*used, *(["torch"] if "Learned" in used else []), *(["F"] if "attention" in used else [])]
        ),
    )
    return render("network.py.j2", view)


def _quotable(text: str) -> str:
    """Text that may stand in a docstring."""
    return text.replace("\\", "\\\\").replace('"', "'")
