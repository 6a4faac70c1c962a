"""The syntax tree of a `.space` file, whole: what the parser makes, checks read and the printer writes.

Equality ignores spans, so two texts that mean the same tree are equal whatever their layout.
A value may hold wiring and a pipe (`n1 = in -> edge`); which of the two a place may hold is for later checks.
Parentheses leave no trace.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal, TypeAlias, TypeVar

from dsl.source import Span

ArithmeticOperator: TypeAlias = Literal["+", "-", "*", "/", "//", "%"]
ComparisonOperator: TypeAlias = Literal["==", "!=", "<=", ">=", "<", ">", "contains"]
MergeKind: TypeAlias = Literal["add", "concat", "mul"]
Exact: TypeAlias = int | Fraction


@dataclass(frozen=True, slots=True)
class Node:
    """What every node has: where it was written."""

    span: Span = field(compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class NamedNode(Node):
    """A node that carries a name; `name_span` is where the name stands, None where there is no name."""

    name_span: Span | None = field(default=None, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Number(Node):
    """A number, exact: `3`, `3.5`, `4e-5`; an int where it is integral, else a Fraction."""

    value: Exact


@dataclass(frozen=True, slots=True)
class Quantity(Node):
    """A number with a unit: `8 ms`, `600 M`, `320 KiB`."""

    value: Exact
    unit: str


@dataclass(frozen=True, slots=True)
class String(Node):
    """A string; `value` is what it says, escapes resolved."""

    value: str


@dataclass(frozen=True, slots=True)
class Bool(Node):
    """`true` or `false`."""

    value: bool


@dataclass(frozen=True, slots=True)
class Ref(Node):
    """A bare name: a parameter, a binding, a constant, an operator, a block."""

    name: str


@dataclass(frozen=True, slots=True)
class In(Node):
    """`in`: the value that entered the innermost enclosing braces."""


@dataclass(frozen=True, slots=True)
class Attr(Node):
    """`in.channels`, `stem.height`; also a name of a file brought in by `use "…" as lib`: `lib.mbconv`."""

    base: Ref | In
    name: str


@dataclass(frozen=True, slots=True)
class Arg(NamedNode):
    """One argument of a call: positional where `name` is None."""

    name: str | None
    value: Expr


@dataclass(frozen=True, slots=True)
class Call(Node):
    """`mbconv(16, kernel = 3)`, `min(a, b)`: a block, an operator or a function, applied at once."""

    callee: Ref | Attr
    args: tuple[Arg, ...]


@dataclass(frozen=True, slots=True)
class Named(NamedNode):
    """`value as name`: names a decision or an instance of a block."""

    value: Ref | Attr | Call | ChooseValue | ChooseValues
    name: str


@dataclass(frozen=True, slots=True)
class Unary(Node):
    operator: Literal["-", "not"]
    operand: Expr


@dataclass(frozen=True, slots=True)
class Binary(Node):
    operator: ArithmeticOperator
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Compare(Node):
    operator: ComparisonOperator
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Logic(Node):
    operator: Literal["and", "or"]
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Pick(Node):
    """A value by a condition: `if condition then a else b`."""

    condition: Expr
    then: Expr
    otherwise: Expr


@dataclass(frozen=True, slots=True)
class RangeChoice(Node):
    """`16..64 step 8`, both ends included; also the count of `choose 1..4 of`, where `step` is None."""

    start: Expr
    stop: Expr
    step: Expr | None


@dataclass(frozen=True, slots=True)
class ChooseValue(Node):
    """`choose(3, 5, 7)`: one decision between values."""

    choices: tuple[Expr | RangeChoice, ...]


@dataclass(frozen=True, slots=True)
class ChooseValues(Node):
    """`choose 1..4 of (1..n)`: a decision whose value is a set."""

    count: Number | Ref | RangeChoice
    choices: tuple[Expr | RangeChoice, ...]


@dataclass(frozen=True, slots=True)
class Pipe(Node):
    """`a -> b -> c`: a head, any Expr where the pipe is a value, then Steps; a body's result is a Pipe."""

    steps: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Bind(NamedNode):
    """`name = value`."""

    name: str
    value: Expr


@dataclass(frozen=True, slots=True)
class Body(Node):
    """What stands in braces or in a branch: bindings, then one pipe, last; `check` refuses other orders."""

    statements: tuple[Bind | Pipe, ...]

    @property
    def bindings(self) -> tuple[Bind, ...]:
        return tuple(each for each in self.statements if isinstance(each, Bind))

    @property
    def result(self) -> Pipe | None:
        """The last pipe; None in a body that `check` refuses."""
        last = self.statements[-1] if self.statements else None
        return last if isinstance(last, Pipe) else None


@dataclass(frozen=True, slots=True)
class If(Node):
    """`if condition { … } else { … }`: wiring by a condition; without `else` it passes its input on."""

    condition: Expr
    then: Body
    otherwise: Body | If | None


@dataclass(frozen=True, slots=True)
class Repeat(NamedNode):
    """`[tied] repeat count as index { … }`; `name_span` is the index's."""

    count: Expr
    index: str | None
    body: Body
    tied: bool


@dataclass(frozen=True, slots=True)
class Residual(Node):
    """`residual when condition { … }`: adds the input to the body's value."""

    condition: Expr | None
    body: Body


@dataclass(frozen=True, slots=True)
class Branch(NamedNode):
    """`label: body when condition`, one of the alternatives between `|`; `name_span` is the label's."""

    label: str | None
    body: Body
    when: Expr | None


@dataclass(frozen=True, slots=True)
class MergeCall(Node):
    """`add(x, y)`: merges its arguments, and reads them only."""

    kind: MergeKind
    args: tuple[Arg, ...]


@dataclass(frozen=True, slots=True)
class MergeBranches(Node):
    """`concat { a | b }`: gives each branch the current value and merges what they make."""

    kind: MergeKind
    branches: tuple[Branch, ...]


@dataclass(frozen=True, slots=True)
class MergeSubset(NamedNode):
    """`add choose 2 of { … } as name`: merges what a decision picks, unordered, without repetition."""

    kind: MergeKind
    count: Number | Ref | RangeChoice
    branches: tuple[Branch, ...]
    name: str | None


@dataclass(frozen=True, slots=True)
class ChoosePath(NamedNode):
    """`choose { a | b } as name`: one decision between paths."""

    branches: tuple[Branch, ...]
    name: str | None


Atom: TypeAlias = Number | Quantity | String | Bool | Ref | In | Attr
Operation: TypeAlias = Unary | Binary | Compare | Logic | Pick
Wiring: TypeAlias = If | Repeat | Residual | MergeCall | MergeBranches | MergeSubset | ChoosePath
Step: TypeAlias = Ref | Attr | In | Call | Named | ChooseValue | Wiring
Expr: TypeAlias = Atom | Call | Named | Operation | ChooseValue | ChooseValues | Wiring | Pipe

# Items of a file


@dataclass(frozen=True, slots=True)
class Use(NamedNode):
    """`use "blocks.space" as name`: brings another file's blocks, targets and constants."""

    path: String
    name: str | None


@dataclass(frozen=True, slots=True)
class Constant(NamedNode):
    """`name = value` at the top of a file."""

    name: str
    value: Expr


@dataclass(frozen=True, slots=True)
class Param(NamedNode):
    name: str
    default: Expr | None


@dataclass(frozen=True, slots=True)
class Block(NamedNode):
    """`[tied] block name(params) { … }`."""

    name: str
    params: tuple[Param, ...]
    body: Body
    tied: bool


@dataclass(frozen=True, slots=True)
class Input(NamedNode):
    """`input name [3, 224, 224]`; the name is None where the space has one input, read as `in`."""

    name: str | None
    dimensions: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Output(Node):
    """`output [1000]`."""

    dimensions: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Cap(NamedNode):
    """`latency <= 8 ms on laptop`; `name_span` is the metric's; the target may be `lib.laptop`."""

    metric: str
    relation: Literal["<=", ">="]
    limit: Expr
    target: str | None
    target_span: Span | None = field(default=None, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Space(NamedNode):
    """`space name { input … output … body require … }`."""

    name: str
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    body: Body
    requires: tuple[Cap, ...]


@dataclass(frozen=True, slots=True)
class Setting(NamedNode):
    """`key = value` in a target, a search or a recipe."""

    name: str
    value: Expr


@dataclass(frozen=True, slots=True)
class Target(NamedNode):
    """`target name { settings }`."""

    name: str
    settings: tuple[Setting, ...]


@dataclass(frozen=True, slots=True)
class Search(NamedNode):
    """`search space as name { settings caps }`; `name_span` is the space's name's."""

    space: str
    name: str | None
    settings: tuple[Setting, ...]
    caps: tuple[Cap, ...]


@dataclass(frozen=True, slots=True)
class Train(NamedNode):
    """`train space { settings }`: a training recipe; `name_span` is the space's name's."""

    space: str
    settings: tuple[Setting, ...]


Item: TypeAlias = Use | Constant | Block | Space | Target | Search | Train
SomeItem = TypeVar("SomeItem", Use, Constant, Block, Space, Target, Search, Train)


@dataclass(frozen=True, slots=True)
class File(Node):
    """A whole file; a file with a space, a search and a target is a whole experiment."""

    items: tuple[Item, ...]

    def select(self, kind: type[SomeItem]) -> tuple[SomeItem, ...]:
        """The items of one kind, in the order of the file: `file.select(Block)`."""
        return tuple(item for item in self.items if isinstance(item, kind))
