"""Places: points in the file's own hierarchy, from which readable unique names are drawn.

In a tied block a place has a second side, its `Ties`: what is decided there is decided once for all instances
of the block. Ties are found again by where in the text they were entered, so that every instance, wherever it
stands and whatever its conditions leave out, draws the same names for the same decisions.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from compiler.ir.graph import Decision
from dsl import syntax
from dsl.source import Span

Key = tuple[int, int, int]
"""Where something is written: its source, its start there, and which iteration it is in (0 outside)."""


def key_of(span: Span, iteration: int = 0) -> Key:
    """The key of what is written at `span`."""
    return id(span.source), span.start, iteration


def own_name(block: syntax.Block) -> str:
    """What a place is called after a block: `cell`, though it is brought in as `lib.cell`."""
    return block.name.rpartition(".")[2]


class Place:
    """A point in the hierarchy. The second sibling of a name is numbered: `stage`, `stage2`; `relu6`, `relu6_2`."""

    def __init__(self, path: str = "", ties: Ties | None = None) -> None:
        self.path = path
        self.ties = ties
        self._taken: dict[str, int] = {}
        self._nodes: dict[str, int] = {}

    def name(self, base: str) -> str:
        """A new path below this place: of a decision, or of a place."""
        return self._new(base, self._taken)

    def node(self, base: str) -> str:
        """A new name of a node, which takes none from decisions: two decisions in a row are `path` and `path2`."""
        return self._new(base, self._nodes)

    def _new(self, base: str, taken: dict[str, int]) -> str:
        count = taken.get(base, 0) + 1
        taken[base] = count
        gap = "_" if base[-1].isdigit() else ""
        own = base if count == 1 else f"{base}{gap}{count}"
        if count > 1 and own in taken:
            return self._new(base, taken)
        taken.setdefault(own, 1)
        return f"{self.path}.{own}" if self.path else own

    def below(self, base: str, span: Span, iteration: int = 0) -> Place:
        """A new place below this one, entered at `span`."""
        ties = self.ties.below(base, key_of(span, iteration)) if self.ties else None
        return Place(self.name(base), ties)

    def tied(self, base: str, ties: Ties) -> Place:
        """A new place below this one, whose decisions are those of all that share `ties`."""
        return Place(self.name(base), ties)


class Ties:
    """The side of a place that all instances of a tied block share: decisions, and the places below."""

    def __init__(self, path: str) -> None:
        self._names = Place(path)
        self._below: dict[tuple[str, Key], Ties] = {}
        self.decisions: dict[Key, Decision] = {}

    @property
    def path(self) -> str:
        """What the paths below start with."""
        return self._names.path

    def name(self, base: str) -> str:
        """A new path below this one."""
        return self._names.name(base)

    def below(self, base: str, key: Key) -> Ties:
        """The side of a place below, made where it is first entered."""
        if (base, key) not in self._below:
            self._below[base, key] = Ties(self.name(base))
        return self._below[base, key]


@dataclass
class Bound:
    """A name that a value is bound to: the place of what that value calls, and the name of a decision it makes."""

    name: str
    around: Place
    span: Span
    _place: Place | None = field(default=None, init=False)
    _taken: bool = field(default=False, init=False)

    @property
    def place(self) -> Place:
        """Its place, drawn when it is first asked for: most bound values need none."""
        if self._place is None:
            self._place = self.around.below(self.name, self.span)
        return self._place

    def take(self) -> str | None:
        """The path of the name itself, for the first decision that is called so; None for the others."""
        if self._taken:
            return None
        self._taken = True
        return (self.place.ties or self.place).path
