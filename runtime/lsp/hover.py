"""What stands under the cursor, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from compiler.bounds import TooMany, bounds, items_of
from compiler.counting import Counter, TooEntangled
from compiler.frontend import SIGNATURES, Analysis
from compiler.inspection import Focus, Sight, focus_on, focus_on_name, inspect
from compiler.ir.expression import show
from dsl import syntax
from dsl.references import Definition, Foreign, Names, Occurrence, enclosing
from dsl.schema_text import described
from dsl.signature import FUNCTIONS
from dsl.source import Span
from dsl.suggest import counted
from dsl.units import METRICS, UNITS
from runtime.lsp.documents import Documents
from runtime.lsp.sights import LINES, bounds_text, step_lines, value_lines
from runtime.lsp.words import (
    comment_above,
    definition_text,
    header_text,
    meaning_of,
    meaning_of_parameter,
    operator_text,
)

_SECTIONS: Mapping[type, str] = {syntax.Target: "target", syntax.Search: "search", syntax.Train: "train"}
_CHOICES = (syntax.ChooseValue, syntax.ChooseValues, syntax.ChoosePath, syntax.MergeSubset)


@dataclass(frozen=True)
class Hover:
    """Markdown, and what it is about."""

    text: str
    span: Span


def hover(documents: Documents, path: str, offset: int) -> Hover | None:
    """What to say of an offset of an open text; None where nothing stands there that has a meaning."""
    member = documents.project.member(path)
    if member is None:
        return None
    return _Cursor(documents, path, offset, member.names, member.sound).hover()


@dataclass(frozen=True)
class _Cursor:
    """A place of a text, and what is known there."""

    documents: Documents
    path: str
    offset: int
    names: Names
    sound: bool

    def hover(self) -> Hover | None:
        chain = enclosing(self.names.file, self.offset)
        setting = _setting(chain, self.offset)
        if setting is not None:
            return setting
        occurrence = self.names.at(self.offset)
        if occurrence is not None:
            return self._name(occurrence, chain)
        node = chain[-1]
        if isinstance(node, _CHOICES):
            return Hover(_paragraphs(self._choice(node), step_lines(self._seen(focus_on(node)))), node.span)
        if isinstance(node, syntax.In | syntax.Attr):
            lines = value_lines(self._seen(focus_on(node)))
            return Hover(_paragraphs([f"`{node.span.text}`"], lines), node.span)
        lines = step_lines(self._seen(focus_on(node)))
        return Hover(_paragraphs(lines), node.span) if lines else None

    @property
    def analysis(self) -> Analysis:
        return self.documents.analysis(self.path)

    def _seen(self, focus: Focus | None) -> list[Sight]:
        """What a focus comes to; nothing in a text with syntax errors, of which parts are missing."""
        file = self.analysis.file
        if focus is None or file is None or not self.sound:
            return []
        return inspect(file, focus)

    def _name(self, occurrence: Occurrence, chain: Sequence[syntax.Node]) -> Hover | None:
        definition = self.documents.project.meaning(occurrence)
        step = _step_named(occurrence, chain)
        if definition is not None:
            lines = self._definition(definition, step if not occurrence.is_definition else None)
        elif isinstance(occurrence.meaning, Foreign):
            lines = self._built_in(occurrence.meaning, step)
        else:
            lines = []
        return Hover(_paragraphs(*lines), occurrence.span) if lines else None

    def _built_in(self, foreign: Foreign, step: syntax.Node | None) -> list[Sequence[str]]:
        """An operator, a function, or an operator's parameter."""
        if foreign.parameter is not None:
            row = meaning_of_parameter(foreign.name, foreign.parameter)
            return [[f"parameter `{foreign.parameter}` of `{foreign.name}`"], [row] if row else []]
        block = self.documents.built_in_block(self.path, foreign)
        if block is not None:
            return self._block(block, step)
        if foreign.name not in SIGNATURES and foreign.name not in FUNCTIONS:
            return []
        seen = step_lines(self._seen(focus_on(step))) if step is not None else []
        return [[_code(operator_text(foreign.name))], [meaning_of(foreign.name)], seen]

    def _block(self, block: syntax.Block, step: syntax.Node | None) -> list[Sequence[str]]:
        """A block where it is called, or everywhere where it is defined."""
        focus = focus_on(step if step is not None else block)
        return [[_code(header_text(block))], [comment_above(block)], step_lines(self._seen(focus))]

    def _definition(self, definition: Definition, step: syntax.Node | None) -> list[Sequence[str]]:
        match definition.node:
            case syntax.Block() as block:
                return self._block(block, step)
            case syntax.Space() as space:
                return [[_code(f"space {space.name}")], [comment_above(space)], self._space(space)]
            case syntax.Target() as target:
                return [[_code(f"target {target.name}")], [comment_above(target)]]
            case syntax.Use() as use:
                return [[f'the names of "{use.path.value}"']]
        return [[definition_text(definition)], value_lines(self._seen(focus_on_name(definition)))]

    def _space(self, space: syntax.Space) -> list[str]:
        """Size, decisions and costs of a space without mistakes."""
        graph = self.analysis.graphs.get(space.name)
        if graph is None:
            return []
        decisions = len({each.path for each in graph.decisions})
        try:
            networks = counted(Counter(graph).size(), "network")
        except TooEntangled as problem:
            networks = str(problem)
        try:
            found = bounds(items_of(graph.graph))
            costs = [bounds_text(found)] if found is not None else []
        except TooMany as problem:
            costs = [str(problem)]
        return [f"{networks}, {decisions:,} decision{'s' * (decisions != 1)}", *costs]

    def _choice(self, node: syntax.Node) -> list[str]:
        """The decisions that a `choose` makes, by their paths."""
        graphs = self.analysis.graphs.values()
        found = {each.path: each for graph in graphs for each in graph.decisions if each.span == node.span}
        if not found:
            return ["makes no decision that is left"] if graphs else []
        options = next(iter(found.values())).options
        shown = ", ".join(show(each) for each in options[:12]) + ", …" * (len(options) > 12)
        paths = [f"`{path}`" for path in list(found)[:LINES]]
        rest = f" and {len(found) - LINES:,} others" if len(found) > LINES else ""
        return [
            f"{counted(len(found), 'decision')} of {len(options)} options: {shown}",
            ", ".join(paths) + rest,
        ]


def _step_named(occurrence: Occurrence, chain: Sequence[syntax.Node]) -> syntax.Node | None:
    """The call whose callee a name is, or the name itself where it stands alone."""
    *_, outer, inner = [None, None, *chain]
    if isinstance(inner, syntax.Attr):
        *_, outer, inner = [None, *chain]
    if isinstance(outer, syntax.Attr):
        inner, outer = outer, chain[-3] if len(chain) > 2 else None
    if isinstance(outer, syntax.Call) and outer.callee.span == getattr(inner, "span", None):
        return outer
    return inner if isinstance(inner, syntax.Ref | syntax.Attr) else None


def _setting(chain: Sequence[syntax.Node], offset: int) -> Hover | None:
    """A setting, a form's setting, or a limit."""
    section = next((_SECTIONS[type(each)] for each in chain if type(each) in _SECTIONS), None)
    form = next((each.callee.name for each in chain if isinstance(each, syntax.Call)), None)
    for node in chain:
        span = getattr(node, "name_span", None)
        if span is None or not span.start <= offset <= span.end:
            continue
        if isinstance(node, syntax.Cap) and node.metric in METRICS:
            units = ", ".join(UNITS[METRICS[node.metric]])
            return Hover(f"`{node.metric}`: a limit, in {units}", span)
        if section is not None and isinstance(node, syntax.Setting | syntax.Arg) and node.name is not None:
            text = described(section, node.name, form if isinstance(node, syntax.Arg) else None)
            return Hover(f"`{node.name}`: {text}", span) if text is not None else None
    return None


def _code(text: str) -> str:
    return f"```space\n{text}\n```"


def _paragraphs(*parts: Sequence[str]) -> str:
    """Parts with blank lines between them, their lines on lines of their own."""
    return "\n\n".join("  \n".join(line for line in part if line) for part in parts if any(part))
