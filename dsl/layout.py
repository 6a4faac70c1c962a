"""Trees laid out in lines of at most 100 columns, comments in their places.

Both texts of a tree come from here: the canonical one, which depends on the tree alone, and the formatted one,
which keeps the writer's comments, blank lines, and the lines a pipe or a body was broken into.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from dsl import syntax
from dsl.printer import Braced, Printer, Words
from dsl.source import Span

WIDTH = 100
INDENT = 4

SomeNode = TypeVar("SomeNode", bound=syntax.Node)


class Layout:
    """Writes one file. `comments` are emptied as they are written, in the order of the text."""

    def __init__(self, keep: bool, comments: Sequence[Span] = ()) -> None:
        self.keep = keep
        self.printer = Printer(spelled=keep)
        self.comments = list(comments)
        self.lines: list[str] = []
        self.line = ""
        self.indent = 0
        # The end of what was written last, in the writer's text.
        self.reached: Span | None = None

    def file(self, file: syntax.File) -> str:
        """The whole text, ending in a new line unless it is empty."""
        self._sequence(file.items, self._item)
        self._comments_before(len(file.span.source.text) + 1, file.span)
        self._end_line()
        return "".join(f"{line}\n" for line in self.lines)

    # Lines

    def _end_line(self) -> None:
        if self.line.strip():
            self.lines.append(self.line.rstrip())
        self.line = ""

    def _put(self, words: Words, more: int = 0) -> None:
        """Write words, starting a line, `more` deeper, where the next one does not fit."""
        for word in words:
            if not self.line.strip():
                self.line = " " * self.indent + word
            elif len(self.line) + 1 + len(word.rstrip()) <= WIDTH:
                self.line += f" {word}"
            else:
                self._end_line()
                self.line = " " * (self.indent + more) + word

    def _fits(self, words: Words) -> bool:
        start = len(self.line) + 1 if self.line.strip() else self.indent
        return start + sum(len(word) for word in words) + len(words) - 1 <= WIDTH

    # Comments and blank lines

    def _comments_before(self, offset: int, place: Span) -> None:
        """Write the comments before an offset; one behind what was written last stays behind it."""
        while self.comments and self.comments[0].start < offset:
            comment = self.comments.pop(0)
            reached = self.reached
            behind = reached is not None and reached.end_line == comment.line
            if behind and (self.line.strip() or self.lines):
                self._behind(comment.text)
            else:
                self._end_line()
                self._blank_line(comment)
                self.lines.append(" " * self.indent + comment.text)
            self.reached = comment

    def _behind(self, text: str) -> None:
        if self.line.strip():
            self.line = f"{self.line.rstrip()}  {text}"
            self._end_line()
        else:
            self.lines[-1] += f"  {text}"

    def _blank_line(self, following: Span) -> None:
        """Keep one blank line of those that the writer left here."""
        if self.reached is None or not self.lines or not self.keep:
            return
        between = following.source.text[self.reached.end : following.start]
        if between.count("\n") > 1 and self.lines[-1] and not self.lines[-1].endswith("{"):
            self.lines.append("")

    def _sequence(self, nodes: Sequence[SomeNode], write: Callable[[SomeNode], None]) -> None:
        """Write siblings, each on a line of its own, or on one line where the writer had them so."""
        previous: syntax.Node | None = None
        for node in nodes:
            self._comments_before(node.span.start, node.span)
            beside = (
                self.keep
                and previous is not None
                and previous.span.end_line == node.span.line
                and bool(self.line.strip())
                and not isinstance(node, syntax.Item)
                and self._fits([" ", *self._one_line(node)])
            )
            if beside:
                self.line += " "
            else:
                self._end_line()
                self._blank_line(node.span)
                if not self.keep and previous is not None and _stands_alone(previous, node):
                    self.lines.append("")
            write(node)
            self.reached = _end_of(node.span)
            previous = node

    def _one_line(self, node: syntax.Node) -> Words:
        printer = self.printer
        match node:
            case syntax.Bind() | syntax.Pipe():
                return printer.statement(node)
            case syntax.Setting():
                return printer.setting(node)
            case syntax.Input() | syntax.Output():
                return printer.dimensions(node)
            case syntax.Cap():
                return ["require", *printer.cap(node)]
        raise TypeError(type(node).__name__)

    # Items

    def _item(self, item: syntax.Item) -> None:
        printer = self.printer
        match item:
            case syntax.Use():
                self._put(printer.use(item), INDENT)
            case syntax.Constant():
                self._assign(item.name, item.value)
            case syntax.Block():
                self._put(printer.params(item), INDENT)
                self._body(item.body)
            case syntax.Space():
                parts = [*item.inputs, *item.outputs, *item.body.statements, *item.requires]
                self._section(["space", item.name], item, parts)
            case syntax.Target():
                self._section(["target", item.name], item, item.settings)
            case syntax.Search():
                name = ["as", item.name] if item.name else []
                self._section(["search", item.space, *name], item, [*item.settings, *item.caps])
            case syntax.Train():
                self._section(["train", item.space], item, item.settings)

    def _section(self, head: Words, item: syntax.Item, parts: Sequence[syntax.Node]) -> None:
        ordered = sorted(parts, key=lambda part: part.span.start) if self.keep else parts
        self._put(head)
        if not ordered and "\n" not in item.span.text:
            self._put(["{}"])
            return
        if self.keep and "\n" not in item.span.text:
            words = [word for part in ordered for word in [*self._part(part, item), " "]][:-1]
            if self._fits(["{", *words, "}"]):
                self._flat_section(ordered, item)
                return
        self._braces(item.span, lambda: self._sequence(ordered, lambda part: self._section_part(part, item)))

    def _flat_section(self, parts: Sequence[syntax.Node], item: syntax.Item) -> None:
        self._put(["{"])
        for index, part in enumerate(parts):
            self.line += " " if index else ""
            self._put(self._part(part, item))
        self._put(["}"])

    def _part(self, part: syntax.Node, item: syntax.Item) -> Words:
        words = self._one_line(part)
        return words[1:] if isinstance(part, syntax.Cap) and isinstance(item, syntax.Search) else words

    def _section_part(self, part: syntax.Node, item: syntax.Item) -> None:
        if isinstance(part, syntax.Bind | syntax.Pipe):
            self._statement(part)
        else:
            self._put(self._part(part, item), INDENT)

    # Bodies

    def _braces(self, span: Span, write: Callable[[], None]) -> None:
        """Braces on lines of their own around what `write` writes, and the comments before the last one."""
        self._put(["{"])
        self.reached = None
        self.indent += INDENT
        write()
        self._comments_before(span.end - 1, span)
        self._end_line()
        self.indent -= INDENT
        self._put(["}"])
        self.reached = _end_of(span)

    def _body(self, body: syntax.Body) -> None:
        words = self.printer.body(body)
        if self._is_flat(body, words):
            self._put(words)
        else:
            self._braces(body.span, lambda: self._sequence(body.statements, self._statement))

    def _is_flat(self, node: syntax.Node, words: Words) -> bool:
        """Whether braces stay on one line: as the writer had it; in canonical text if simple enough."""
        simple = "\n" not in node.span.text if self.keep else _is_simple(node)
        return simple and self._fits(words)

    def _statement(self, statement: syntax.Bind | syntax.Pipe) -> None:
        if isinstance(statement, syntax.Bind):
            self._assign(statement.name, statement.value)
        else:
            self._pipe(statement, 0)

    def _assign(self, name: str, value: syntax.Expr) -> None:
        self._put([name, "="])
        if isinstance(value, syntax.Pipe):
            self._pipe(value, INDENT)
        else:
            self._step(value, INDENT)

    def _pipe(self, pipe: syntax.Pipe, more: int) -> None:
        """A pipe; a line ends before an arrow where the writer's did, or where the next step does not fit."""
        previous: syntax.Expr | None = None
        for step in pipe.steps:
            if previous is None:
                self._head(pipe, more)
            else:
                self.indent += more
                self._comments_before(step.span.start, step.span)
                broken = self.keep and "\n" in step.span.source.text[previous.span.end : step.span.start]
                if broken or not self._fits(["->", *self._first_words(step)]):
                    self._end_line()
                self._put(["->"])
                self._step(step, INDENT)
                self.indent -= more
            self.reached = _end_of(step.span)
            previous = step

    def _head(self, pipe: syntax.Pipe, more: int) -> None:
        head = pipe.steps[0]
        if isinstance(head, Braced):
            self._step(head, more)
        else:
            self._put(self.printer.head(pipe), more)

    def _first_words(self, step: syntax.Expr) -> Words:
        """The words that a step needs room for on the line of its arrow."""
        if not isinstance(step, Braced):
            return self.printer.words(step)
        return [*self.printer.header(step), "{"]

    def _step(self, step: syntax.Expr, more: int) -> None:
        words = self.printer.words(step)
        if not isinstance(step, Braced) or self._is_flat(step, words):
            self._put(words, more)
            return
        self._put(self.printer.header(step), more)
        if isinstance(step, syntax.If):
            self._if(step)
        elif isinstance(step, syntax.Repeat | syntax.Residual):
            self._body(step.body)
        else:
            self._branches(step)

    def _if(self, node: syntax.If) -> None:
        self._body(node.then)
        if node.otherwise is None:
            return
        self.reached = _end_of(node.then.span)
        self._comments_before(node.otherwise.span.start, node.otherwise.span)
        self._put(["else"])
        if isinstance(node.otherwise, syntax.If):
            self._put(self.printer.header(node.otherwise), INDENT)
            self._if(node.otherwise)
        else:
            self._body(node.otherwise)

    def _branches(self, node: syntax.MergeBranches | syntax.MergeSubset | syntax.ChoosePath) -> None:
        self._put(["{"])
        self.reached = None
        for index, branch in enumerate(node.branches):
            self._comments_in_branches(branch.span)
            self._end_line()
            self.line = " " * self.indent + ("  | " if index else "    ")
            self.indent += INDENT
            self._branch(branch)
            self.indent -= INDENT
            self.reached = _end_of(branch.span)
        closing = _closing_brace(node)
        self._comments_in_branches(closing)
        self._end_line()
        self._put(["}"])
        self.reached = closing
        self._put(self.printer.decision_name(node))

    def _comments_in_branches(self, place: Span) -> None:
        self.indent += INDENT
        self._comments_before(place.start, place)
        self.indent -= INDENT

    def _branch(self, branch: syntax.Branch) -> None:
        if branch.label is not None:
            self.line += f"{branch.label}:"
        elif branch.body.statements:
            self.line = self.line[:-1]
        statements = branch.body.statements
        for index, statement in enumerate(statements):
            if index:
                self._comments_before(statement.span.start, statement.span)
                self._end_line()
            self._statement(statement)
            self.reached = _end_of(statement.span)
        if branch.when is not None:
            self._comments_before(branch.when.span.start, branch.when.span)
            self._put(self.printer.when(branch.when), INDENT)


def _end_of(span: Span) -> Span:
    """The empty span at a span's end."""
    return span.source.span(span.end, span.end)


def _closing_brace(node: syntax.Node) -> Span:
    """Where the last brace of a node stands; behind it only `as name` can."""
    span = node.span
    at = span.start + span.text.rfind("}")
    return span.source.span(at, at + 1)


def _stands_alone(previous: syntax.Node, node: syntax.Node) -> bool:
    """Whether canonical text leaves a blank line between two items."""
    light = syntax.Use | syntax.Constant
    return isinstance(node, syntax.Item) and not (isinstance(node, light) and isinstance(previous, light))


def _is_simple(node: syntax.Node) -> bool:
    """Whether every pair of braces in it holds one statement."""
    pending: list[syntax.Node] = [node]
    while pending:
        each = pending.pop()
        if isinstance(each, syntax.Body):
            if len(each.statements) != 1:
                return False
            pending += each.statements
        elif isinstance(each, syntax.Pipe):
            pending += each.steps
        elif isinstance(each, syntax.If):
            pending += [each.then, *([each.otherwise] if each.otherwise else [])]
        elif isinstance(each, syntax.Repeat | syntax.Residual):
            pending.append(each.body)
        elif isinstance(each, syntax.MergeBranches | syntax.MergeSubset | syntax.ChoosePath):
            pending += [branch.body for branch in each.branches]
        elif isinstance(each, syntax.Bind):
            pending.append(each.value)
    return True
