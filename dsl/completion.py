"""What may be typed at a place of a text: names, arguments, settings, units, keywords, files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from dsl.check_bodies import ATTRIBUTES
from dsl.completion_settings import Suggestion, setting_suggestions
from dsl.diagnostic import DiagnosticError
from dsl.expected import keywords
from dsl.known_targets import known_targets
from dsl.names import HOST
from dsl.outline import kind_at, kind_back, locals_of, open_call, opened
from dsl.parser import fitting
from dsl.signature import Signature, written
from dsl.source import Source
from dsl.units import METRICS, UNITS

if TYPE_CHECKING:
    from lark import Token

_SECTIONS = {"TARGET": "target", "SEARCH": "search", "TRAIN": "train"}
# Behind these a name is being made, not used.
_MAKING = {"BLOCK", "SPACE", "TARGET", "AS", "INPUT", "USE"}
_VALUE_STARTS = {
    *(
        "BINDS",
        "LPAR",
        "LSQB",
        "COMMA",
        "IF",
        "THEN",
        "ELSE",
        "WHEN",
        "NOT",
        "AND",
        "OR",
        "OF",
        "DOTS",
        "STEP",
    ),
    *("SAME", "DIFFERENT", "LIMIT", "LESS", "MORE", "CONTAINS"),
    *("PLUS", "MINUS", "STAR", "SLASH", "FLOOR", "PERCENT", "REPEAT"),
}
CallableKind: TypeAlias = Literal["block", "function", "operator"]
Files: TypeAlias = Callable[[str], Iterable[str]]


def _no_files(beginning: str) -> Iterable[str]:
    return ()


@dataclass(frozen=True)
class Known:
    """The names of a file besides its locals; those of a used file by the names they have here.

    `files` gives the paths that `use` could go on with, from what stands in its quotes.
    """

    callables: Mapping[str, Signature]
    constants: Sequence[str] = ()
    targets: Sequence[str] = ()
    spaces: Sequence[str] = ()
    files: Files = field(default=_no_files)


def complete(source: Source, offset: int, known: Known) -> list[Suggestion]:
    """What may stand in place of the word that ends at an offset, the likeliest first."""
    before = source.text[:offset]
    line = before.rpartition("\n")[2]
    used = re.search(r'\buse\s*"([^"\n]*)$', line)
    if used is not None:
        return [Suggestion(path, "file") for path in known.files(used[1])]
    if '"' in _outside_strings(line) or "#" in _outside_strings(line):
        return []
    word = re.search(r"([A-Za-z_]\w*)?$", before, re.ASCII)
    start = word.start() if word is not None else offset
    try:
        fits, tokens = fitting(source, start)
    except DiagnosticError:
        return []
    return _Place(source, start, fits, tokens, known).suggestions()


def _outside_strings(line: str) -> str:
    return re.sub(r'"([^"\\\n]|\\.)*"', "", line)


@dataclass(frozen=True)
class _Place:
    """The place behind `tokens`, where the terminals `fits` could stand."""

    source: Source
    start: int
    fits: set[str]
    tokens: Sequence[Token]
    known: Known

    @property
    def previous(self) -> str:
        return kind_back(self.tokens, 1)

    def suggestions(self) -> list[Suggestion]:
        """All that fits, each once; a local may have the name of an argument, as in `out = out`."""
        return list({(each.kind, each.label): each for each in self._all()}.values())

    def _all(self) -> Iterator[Suggestion]:
        brackets = opened(self.tokens)
        match self.previous:
            case "DOT":
                yield from self._attributes()
                return
            case "ON":
                own = sorted({*self.known.targets, HOST})
                names = dict.fromkeys([*own, *sorted(known_targets())])
                yield from (Suggestion(each, "target") for each in names)
                return
            case "SEARCH" | "TRAIN":
                yield from (Suggestion(each, "space") for each in self.known.spaces)
                return
            case "NUMBER" if self._units():
                yield from self._units()
                if self._touches():
                    return
        section = self._section(brackets)
        if section is not None:
            yield from setting_suggestions(section, self.tokens, brackets, "NAME" in self.fits)
        elif self.previous == "REQUIRE":
            yield from (Suggestion(each, "setting", "a limit") for each in METRICS)
        elif "NAME" in self.fits and self.previous not in _MAKING:
            yield from self._names(brackets)
        yield from self._keywords(section)

    def _touches(self) -> bool:
        return bool(self.tokens) and self.tokens[-1].end_pos == self.start

    def _attributes(self) -> Iterator[Suggestion]:
        """Sizes of a tensor, or the names of a used file."""
        base = str(self.tokens[-2]) if kind_back(self.tokens, 2) == "NAME" else ""
        if kind_back(self.tokens, 3) == "ON":
            names = dict.fromkeys(self.known.targets, "target")
        else:
            names = dict.fromkeys(self.known.constants, "constant")
            names |= dict.fromkeys(self.known.callables, "block")
        brought = {
            each.partition(".")[2]: kind for each, kind in names.items() if each.startswith(f"{base}.")
        }
        if brought:
            yield from (Suggestion(name, kind) for name, kind in brought.items())  # type: ignore[arg-type]
        elif base or kind_back(self.tokens, 2) == "IN":
            yield from (Suggestion(each, "attribute") for each in ATTRIBUTES)

    def _units(self) -> list[Suggestion]:
        """The units of the number just written, where it may have one, at most a space behind it."""
        if self.start - (self.tokens[-1].end_pos or 0) > 1:
            return []
        name, relation = (kind_back(self.tokens, 3), kind_back(self.tokens, 2))
        if name != "NAME" or relation not in ("BINDS", "LIMIT"):
            return []
        key = str(self.tokens[-3])
        wanted = METRICS.get(key) if relation == "LIMIT" else _dimension_of(key)
        if wanted is None or (relation == "BINDS" and self._section(opened(self.tokens)) is None):
            return []
        return [Suggestion(unit, "unit", wanted) for unit in UNITS[wanted]]

    def _section(self, brackets: Sequence[int]) -> Literal["target", "search", "train"] | None:
        """The kind of the item whose settings stand here."""
        if not brackets or kind_at(self.tokens, brackets[0]) != "LBRACE":
            return None
        heads = [kind_at(self.tokens, brackets[0] - back) for back in (2, 4)]
        if heads[0] in _SECTIONS:
            return _SECTIONS[heads[0]]  # type: ignore[return-value]
        return "search" if heads[1] == "SEARCH" else None

    def _names(self, brackets: Sequence[int]) -> Iterator[Suggestion]:
        values = self.previous in _VALUE_STARTS
        if not brackets and not values:
            return
        inner = brackets[-1] if brackets else 0
        declaring = kind_at(self.tokens, inner) == "LPAR" and kind_at(self.tokens, inner - 2) == "BLOCK"
        if declaring and self.previous in ("LPAR", "COMMA"):
            return
        if brackets and self.previous in ("LPAR", "COMMA"):
            yield from self._arguments(inner)
        yield from (Suggestion(name, "local", what) for name, what in locals_of(self.tokens).items())
        if values:
            yield from (Suggestion(each, "constant") for each in self.known.constants)
        # A function makes a value, and is no step.
        kinds: tuple[CallableKind, ...] = ("block", "function", "operator")
        for kind in kinds if values else ("block", "operator"):
            for name, signature in self.known.callables.items():
                if signature.kind == kind:
                    yield Suggestion(name, signature.kind, written(signature))

    def _arguments(self, bracket: int) -> Iterator[Suggestion]:
        """Parameters of the call whose parentheses are open that have no argument yet."""
        call = open_call(self.tokens, bracket)
        signature = self.known.callables.get(call.callee) if call is not None else None
        if call is None or signature is None or signature.kind == "function":
            return
        for parameter in signature.parameters[call.positional :]:
            if parameter.name not in call.named:
                what = "must be given" if parameter.required else "has a default"
                yield Suggestion(parameter.name, "argument", what, f"{parameter.name} = ")

    def _keywords(self, section: str | None) -> Iterator[Suggestion]:
        """Words of the language that fit; in settings those alone that no schema gives."""
        words = {kind: text for kind, text in keywords().items() if kind in self.fits and text.isidentifier()}
        if section is not None:
            words = {kind: words[kind] for kind in ("REQUIRE", "ON") if kind in words}
        yield from (Suggestion(words[kind], "keyword") for kind in sorted(words))


def _dimension_of(key: str) -> str | None:
    """What a setting's number measures: `time`, `count`, or nothing."""
    from dsl.schema import SECTIONS

    kinds = {each.kind for keys, _ in SECTIONS.values() for each in keys if each.name == key}
    return "time" if "time" in kinds else "count" if "count" in kinds else None
