"""Hypothesis strategies for syntax trees and for texts."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from dsl import syntax
from dsl.source import Source

SPAN = Source("made", "").span(0, 0)
# Unit names are names too, and the hardest ones: `n = 3` before a pipe that starts at `s`.
NAMES = st.sampled_from(["a", "b2", "out", "kernel", "conv", "relu", "s", "K", "min", "_x"])
UNITS = st.sampled_from(
    ["ns", "us", "ms", "s", "min", "h", "K", "M", "G", "B", "KB", "MB", "GB", "KiB", "MiB", "GiB"]
)
EXACT = st.one_of(
    st.integers(0, 999),
    st.integers(0, 10**39),
    st.builds(
        lambda digits, places: Fraction(digits, 10**places), st.integers(0, 10**12), st.integers(0, 45)
    ),
).map(lambda value: int(value) if Fraction(value).denominator == 1 else value)


def node(kind: type[Any], *fields: Any) -> st.SearchStrategy[Any]:
    return st.tuples(*fields).map(lambda values: kind(*values, span=SPAN))


def some(of: st.SearchStrategy[Any], least: int = 0, most: int = 3) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(of, min_size=least, max_size=most).map(tuple)


def maybe(of: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | of


number = node(syntax.Number, EXACT)
ref = node(syntax.Ref, NAMES)
here = st.just(syntax.In(span=SPAN))
attr = node(syntax.Attr, ref | here, NAMES)
string = node(syntax.String, st.text(max_size=5))
leaf = st.one_of(
    number, node(syntax.Quantity, EXACT, UNITS), string, node(syntax.Bool, st.booleans()), ref, here, attr
)
interval = node(syntax.RangeChoice, number | ref, number | ref, st.none())
count = number | ref | interval


def _grown(value: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    arg = node(syntax.Arg, maybe(NAMES), value)
    call = node(syntax.Call, ref | attr, some(arg))
    step_range = node(syntax.RangeChoice, value, value, maybe(value))
    choose_value = node(syntax.ChooseValue, some(value | step_range, 1))
    choose_values = node(syntax.ChooseValues, count, some(value | step_range, 1))
    named = node(syntax.Named, st.one_of(ref, attr, call, choose_value, choose_values), NAMES)
    kinds = st.sampled_from(["add", "concat", "mul"])
    wiring = st.deferred(
        lambda: st.one_of(
            if_,
            node(syntax.Repeat, value, maybe(NAMES), body, st.booleans()),
            node(syntax.Residual, maybe(value), body),
            node(syntax.MergeCall, kinds, some(arg, 1)),
            node(syntax.MergeBranches, kinds, some(branch, 1)),
            node(syntax.MergeSubset, kinds, count, some(branch, 1), maybe(NAMES)),
            node(syntax.ChoosePath, some(branch, 1), maybe(NAMES)),
        )
    )
    # A step never holds `choose 2 of (…)` unnamed, which is a value.
    step = st.one_of(ref, attr, here, call, node(syntax.Named, call, NAMES), choose_value)
    pipe = node(syntax.Pipe, some(step, 1))
    body = node(syntax.Body, some(node(syntax.Bind, NAMES, value) | pipe, 1))
    if_ = node(syntax.If, value, body, maybe(body))
    branch = node(syntax.Branch, maybe(NAMES), body, maybe(value))
    flow = st.tuples(value.filter(lambda each: not isinstance(each, syntax.Pipe)), some(step, 1)).map(
        lambda parts: syntax.Pipe((parts[0], *parts[1]), span=SPAN)
    )
    return st.one_of(
        call,
        named,
        choose_value,
        choose_values,
        flow,
        wiring,
        node(syntax.Unary, st.sampled_from(["-", "not"]), value),
        node(syntax.Binary, st.sampled_from(["+", "-", "*", "/", "//", "%"]), value, value),
        node(syntax.Compare, st.sampled_from(["==", "!=", "<=", ">=", "<", ">", "contains"]), value, value),
        node(syntax.Logic, st.sampled_from(["and", "or"]), value, value),
        node(syntax.Pick, value, value, value),
    )


values = st.recursive(leaf, _grown, max_leaves=12)
statements = some(node(syntax.Bind, NAMES, values) | node(syntax.Pipe, some(ref | attr | here, 1)), 1)
bodies = node(syntax.Body, statements)
relations = st.sampled_from(["<=", ">="])
caps = node(syntax.Cap, NAMES, relations, values, maybe(st.sampled_from(["host", "lib.laptop"])))
sizes = some(values, 1)
setting = node(syntax.Setting, NAMES, values)
items = st.one_of(
    node(syntax.Use, string, maybe(NAMES)),
    node(syntax.Constant, NAMES, values),
    node(syntax.Block, NAMES, some(node(syntax.Param, NAMES, maybe(values))), bodies, st.booleans()),
    node(
        syntax.Space,
        NAMES,
        some(node(syntax.Input, maybe(NAMES), sizes), 0, 2),
        some(node(syntax.Output, sizes), 0, 2),
        bodies,
        some(caps, 0, 2),
    ),
    node(syntax.Target, NAMES, some(setting)),
    node(syntax.Search, NAMES, maybe(NAMES), some(setting), some(caps)),
    node(syntax.Train, NAMES, some(setting)),
)
trees = node(syntax.File, some(items, 0, 4))
