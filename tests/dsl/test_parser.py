"""The grammar, and the trees that texts become."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from fractions import Fraction
from importlib.resources import files
from pathlib import Path

import pytest
from lark import Lark

from dsl import syntax
from dsl.builder import Builder
from dsl.parser import parse, parsed
from dsl.scan import grammar
from dsl.source import Source
from tests.dsl.spaces import SPACES, load
from tests.pace import slowdown


def value(text: str) -> syntax.Expr:
    """The tree of a value."""
    (constant,) = parsed(Source("value", f"x = {text}")).select(syntax.Constant)
    return constant.value


def test_the_grammar_has_no_conflict(caplog: pytest.LogCaptureFixture) -> None:
    """Lark settles a conflict of shift and reduce silently; only its debug log, or strict mode, says so."""
    text = files("grammar").joinpath("space.lark").read_text(encoding="utf-8")
    caplog.set_level(logging.WARNING, "lark")
    Lark(text, parser="lalr", lexer="basic", debug=True)
    assert "conflict" not in caplog.text
    Lark('start: "if" start ["else" start] | "x"', parser="lalr", debug=True)
    assert "conflict" in caplog.text


def test_no_text_is_two_terminals() -> None:
    """Lark's strict mode needs `interegular`, which stands apart: its presence slows every start."""
    apart = Path(sys.prefix) / "strict"
    if not (apart / "interegular").is_dir():
        pytest.skip(f"interegular is not at {apart}: run `make setup`")
    program = (
        "import interegular; from importlib.resources import files; from lark import Lark; "
        "Lark(files('grammar').joinpath('space.lark').read_text(), parser='lalr', lexer='basic', strict=True)"
    )
    environment = {**os.environ, "PYTHONPATH": str(apart)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_rule_has_a_builder() -> None:
    rules = grammar().rules
    named = {rule.alias or rule.origin.name for rule in rules if rule.alias or not rule.options.expand1}
    assert {name for name in named if not name.startswith("_")} <= set(dir(Builder))


@pytest.mark.parametrize("name", SPACES)
def test_spaces_parse_and_spans_cover_their_text(name: str) -> None:
    source = load(name)
    file = parsed(source)
    for item in file.items:
        assert item.name_span is not None
        assert item.span.text.split()[0] in ("tied", "block", "space", "target", "search", "train")
        assert item.span.text.endswith("}")


def test_numbers_are_exact() -> None:
    assert value("3.50") == syntax.Number(Fraction(7, 2), span=_SPAN)
    assert value("4e-5") == syntax.Number(Fraction(4, 100000), span=_SPAN)
    assert value("2.0") == syntax.Number(2, span=_SPAN)
    assert isinstance(value("2.0").value, int)  # type: ignore[union-attr]


def test_units_belong_to_numbers_unless_they_begin_a_statement() -> None:
    assert value("8 ms") == value("8ms") == syntax.Quantity(8, "ms", span=_SPAN)
    text = "block b(s) { n = 3 s -> conv(n) }"
    (block,) = parsed(Source("unit", text)).select(syntax.Block)
    assert block.body.bindings[0].value == syntax.Number(3, span=_SPAN)
    (target,) = parsed(Source("unit", "target t { a = 3 s = 5 }")).select(syntax.Target)
    assert [setting.name for setting in target.settings] == ["a", "s"]


def test_operators_bind_as_in_arithmetic() -> None:
    assert value("a + b * c - d") == value("((a + (b * c)) - d)")
    assert value("not a == b and c or d") == value("((not (a == b)) and c) or d")
    assert value("-a // b % c") == value("((-a) // b) % c")
    assert value("if a then b else if c then d else e") == value("if a then b else (if c then d else e)")
    assert value("a - b - c") != value("a - (b - c)")


def test_a_pipe_remembers_where_it_was_written() -> None:
    source = Source("s", "block a {\n    conv(8, 3)\n    -> relu\n}\n")
    (block,) = parsed(source).select(syntax.Block)
    assert block.body.result is not None
    head, step = block.body.result.steps
    assert (str(head.span), head.span.text) == ("s:2:5", "conv(8, 3)")
    assert (step.span.line, step.span.column, step.span.end_column) == (3, 8, 12)


def test_mistakes_leave_the_rest_readable() -> None:
    file, found = parse(Source("s", "block a { conv(8 3) }\nblock b { relu"))
    assert file is not None
    assert [each.code for each in found] == ["E0012", "E0013"]
    assert [block.name for block in file.select(syntax.Block)] == ["a"]


def test_columns_count_code_points() -> None:
    (found,) = parse(Source("s", 'x = "𝔸é" !'))[1]
    assert (found.span.line, found.span.column) == (1, 10)


def test_import_is_light() -> None:
    code = (
        "import sys, dsl.parser, dsl.check, dsl.resolve, dsl.render, dsl.format; print('lark' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


def test_parsing_is_fast() -> None:
    grammar()
    text = "\n".join(
        load(name).text.replace("space ", f"space s{number}_") for number, name in enumerate(SPACES)
    )
    started = time.process_time()
    parse(Source("all", text))
    assert time.process_time() - started < slowdown()


_SPAN = Source("none", "").span(0, 0)
