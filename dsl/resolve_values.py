"""What is written for a key to its value, checked against the schema."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dsl import syntax
from dsl.diagnostic import Diagnostic, Note
from dsl.schema import Form, Key
from dsl.source import Span
from dsl.suggest import did_you_mean, listed
from dsl.units import UNITS, dimension, in_units_of

_ENTRY = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
Report = Callable[[Diagnostic], None]


def values_of(
    keys: Sequence[Key], settings: Sequence[syntax.Setting | syntax.Arg], where: str, report: Report
) -> dict[str, Any]:
    """The values of settings or of named arguments, by key; a wrong one is reported and left out."""
    known = {key.name: key for key in keys}
    first: dict[str, Span] = {}
    values: dict[str, Any] = {}
    for setting in settings:
        name = setting.name or ""
        place = setting.name_span or setting.span
        if name not in known:
            report(_unknown_key(name, known, where, place))
        elif name in first:
            notes = (Note("first here", first[name]),)
            report(Diagnostic("E0402", f"`{name}` is set twice", place, "keep one of them", notes))
        else:
            first[name] = place
            value = _value(known[name], setting.value, report)
            if value is not None:
                values[name] = value
    return values


def _unknown_key(name: str, known: Mapping[str, Key], where: str, place: Span) -> Diagnostic:
    hint = did_you_mean(name, known) or (f"it has {listed(known, 'and')}" if known else "it has none")
    return Diagnostic("E0401", f"{where} has no setting `{name}`", place, hint)


def _value(key: Key, node: syntax.Expr, report: Report) -> Any:
    """The value of one setting, or None after reporting what is wrong with it."""
    if key.kind == "call":
        return _call(key, node, report)
    if key.kind == "word":
        return _word(key, node, report)
    if key.kind == "text":
        return (
            node.value if isinstance(node, syntax.String) else _misfit(key, node, 'a text: `"..."`', report)
        )
    if key.kind == "flag":
        return (
            node.value if isinstance(node, syntax.Bool) else _misfit(key, node, "`true` or `false`", report)
        )
    if key.kind == "time":
        return _time(key, node, report)
    if key.kind == "entry":
        fits = isinstance(node, syntax.String) and _ENTRY.fullmatch(node.value)
        return node.value if fits else _misfit(key, node, '`"module:function"`', report)  # type: ignore[union-attr]
    return _number(key, node, report)


def _misfit(key: Key, node: syntax.Expr, wanted: str, report: Report) -> Any:
    """Report a value of the wrong kind; the result is None, as a wrong setting's value is."""
    if _has_choice(node):
        message = f"`{key.name}` is fixed: a setting holds no `choose`"
        report(Diagnostic("E0408", message, node.span, "run one search for each value"))
    else:
        report(Diagnostic("E0403", f"`{key.name}` must be {wanted}", node.span, key.means))
    return None


def _has_choice(node: syntax.Expr) -> bool:
    return isinstance(node, syntax.ChooseValue | syntax.ChooseValues | syntax.ChoosePath | syntax.MergeSubset)


def _number(key: Key, node: syntax.Expr, report: Report) -> Any:
    exact = _exact(node)
    if exact is None:
        wanted = "an integer" if key.kind == "count" else "a number"
        return _misfit(key, node, wanted, report)
    if key.kind == "count" and not isinstance(exact, int):
        return _misfit(key, node, "an integer", report)
    too_small = exact < key.least or (key.above and exact == key.least)
    most = key.limit
    if too_small or (most is not None and (exact > most or (key.below and exact == most))):
        report(Diagnostic("E0405", f"`{key.name}` must be {_limits(key)}", node.span, key.means))
        return None
    return exact if key.kind == "count" else float(exact)


def _limits(key: Key) -> str:
    most = key.limit
    if most is not None and not (key.above or key.below):
        return f"from {key.least} to {most:,}"
    least = f"{'more than' if key.above else 'at least'} {key.least}"
    return least if most is None else f"{least} and {'less than' if key.below else 'at most'} {most:,}"


def _exact(node: syntax.Expr) -> syntax.Exact | None:
    """The number a literal stands for: plain, negated, or a count with a unit."""
    if isinstance(node, syntax.Unary) and node.operator == "-":
        inner = _exact(node.operand)
        return None if inner is None else -inner
    if isinstance(node, syntax.Quantity) and dimension(node) == "count":
        return in_units_of(node, "")
    return node.value if isinstance(node, syntax.Number) else None


def _time(key: Key, node: syntax.Expr, report: Report) -> Any:
    if isinstance(node, syntax.Quantity) and dimension(node) == "time":
        return float(in_units_of(node, "s"))
    if isinstance(node, syntax.Quantity | syntax.Number):
        units = listed([f"`{unit}`" for unit in UNITS["time"]])
        message = f"`{key.name}` is a time, in {units}"
        report(Diagnostic("E0404", message, node.span, "write `90 s` or `10 min`"))
        return None
    return _misfit(key, node, "a time: `90 s`", report)


def _word(key: Key, node: syntax.Expr, report: Report) -> Any:
    words = listed([f"`{word}`" for word in key.words])
    if not isinstance(node, syntax.Ref):
        return _misfit(key, node, words, report)
    if node.name in key.words:
        return node.name
    hint = did_you_mean(node.name, key.words) or f"it is {words}"
    report(Diagnostic("E0407", f"`{node.name}` is no value of `{key.name}`", node.span, hint))
    return None


def _call(key: Key, node: syntax.Expr, report: Report) -> Any:
    """`name` or `name(settings)`: one of the key's forms."""
    forms = {form.name: form for form in key.forms}
    callee = node.callee if isinstance(node, syntax.Call) else node
    if not isinstance(callee, syntax.Ref):
        return _misfit(key, node, f"one of {listed([f'`{name}`' for name in forms])}", report)
    if callee.name not in forms:
        hint = did_you_mean(callee.name, forms) or f"there are {listed(forms, 'and')}"
        report(Diagnostic("E0407", f"`{callee.name}` is no value of `{key.name}`", callee.span, hint))
        return None
    form = forms[callee.name]
    args = _named(form, node.args, report) if isinstance(node, syntax.Call) else []
    values = values_of(form.keys, args, f"`{form.name}`", report)
    missing = [
        each.name for each in form.keys if each.required and each.name not in {arg.name for arg in args}
    ]
    if missing:
        hint = f"write `{form.name}({', '.join(_placeholder(key) for key in form.keys if key.required)})`"
        report(Diagnostic("E0406", f"`{form.name}` needs {listed(missing, 'and')}", node.span, hint))
        return None
    return form.make(**dict(form.fixed), **values)


def _placeholder(key: Key) -> str:
    """A required argument as a hint writes it."""
    value = '"module:function"' if key.kind == "entry" else '"..."'
    return value if key.positional else f"{key.name} = {value}"


def _named(form: Form, args: Sequence[syntax.Arg], report: Report) -> list[syntax.Arg]:
    """The arguments with the names that positional ones stand for."""
    names = [key.name for key in form.keys if key.positional]
    named = []
    for index, arg in enumerate(args):
        if arg.name is not None:
            named.append(arg)
        elif index < len(names):
            named.append(replace(arg, name=names[index]))
        else:
            hint = f"its settings are {listed([key.name for key in form.keys], 'and')}" if form.keys else None
            report(Diagnostic("E0123", f"this setting of `{form.name}` needs its name", arg.span, hint))
    return named
