"""docs/operators.md: the operator table in words."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from compiler.ir.expression import evaluate, show
from compiler.ir.meanings import DEFAULTS, MEANINGS, PARAMETERS
from compiler.ir.ops import KINDS, MERGES, OPERATORS, SECTIONS, Attribute, Operator

_HEAD = """# Operators

Every operator of the language, with its parameters and defaults, as the compiler's table
(`compiler/ir/ops/table.py`) has them; this page is written from it. `C`, `H`, `W` are the operand's channels,
height and width, `T` its tokens. MACs are counted for batch 1. An operator for which no trained elements or no
MACs are stated has none.

An argument is given by name, or by place in the order shown.
"""
_MERGES_HEAD = "These are wiring: `add(x, y)`, or `add { a | b }`. They take one or more operands.\n"
_BUILT = """## What is built

Every operator can be searched, trained, and exported to PyTorch and to ONNX. Bundles are built of our own
kernels. """


def markdown(built: Collection[str]) -> str:
    """The whole of docs/operators.md; `built` are the operators that a bundle can hold."""
    parts = [_HEAD]
    for title, operators in SECTIONS.items():
        parts.append(f"## {title}\n")
        parts += [_MERGES_HEAD] if operators[0].name in MERGES else []
        parts += [_section(operator, operator.name in built) for operator in operators]
    return "\n".join([*parts, _coverage(built)])


def _coverage(built: Collection[str]) -> str:
    missing = [f"`{name}`" for name in OPERATORS if name not in built]
    if not missing:
        return f"{_BUILT}There is one for every operator.\n"
    return f"{_BUILT}Not built yet: {', '.join(missing)}.\n"


def _section(operator: Operator, is_built: bool) -> str:
    meaning = MEANINGS[operator.name]
    lines = [f"### `{_call(operator)}`\n", f"{meaning.computes[0].upper()}{meaning.computes[1:]}.\n"]
    lines += [f"- takes {meaning.takes}", f"- gives {meaning.gives}{_after(meaning.remark)}"]
    lines += [f"- trained elements: {meaning.trains}"] if meaning.trains else []
    lines += [f"- MACs: {meaning.macs}"] if meaning.macs else []
    lines += [] if is_built else ["- not built yet: networks with it are trained and exported, not bundled"]
    if operator.attributes or operator.tensors:
        lines += ["", "| parameter | meaning | value | default |", "|---|---|---|---|"]
        lines += [_tensor_row(operator, name) for name in operator.tensors]
        lines += [_row(operator, attribute) for attribute in operator.attributes]
    return "\n".join([*lines, ""])


def _after(remark: str) -> str:
    return f"; {remark}" if remark else ""


def _call(operator: Operator) -> str:
    if operator.arity is None:
        return f"{operator.name}(x, …)"
    parameters = [*operator.tensors, *[attribute.name for attribute in operator.attributes]]
    return f"{operator.name}({', '.join(parameters)})" if parameters else operator.name


def _tensor_row(operator: Operator, name: str) -> str:
    return f"| `{name}` | {_word(PARAMETERS, operator, name)} | tensor | must be given |"


def _row(operator: Operator, attribute: Attribute) -> str:
    meaning, value = _word(PARAMETERS, operator, attribute.name), _value(attribute)
    return f"| `{attribute.name}` | {meaning} | {value} | {_default(operator, attribute)} |"


def _word(words: Mapping[str, str], operator: Operator, name: str) -> str:
    return words.get(f"{operator.name}.{name}") or words[name]


def _value(attribute: Attribute) -> str:
    if attribute.kind == "flag":
        return "`true` or `false`"
    return KINDS[attribute.kind].removeprefix("an ").removeprefix("a ")


def _default(operator: Operator, attribute: Attribute) -> str:
    if attribute.required:
        return "must be given"
    if attribute.default is None:
        return _word(DEFAULTS, operator, attribute.name)
    literal = evaluate(attribute.default, {})
    is_decimal = attribute.kind == "ratio"
    return f"`{float(literal):g}`" if is_decimal else f"`{show(literal)}`"  # type: ignore[arg-type]
