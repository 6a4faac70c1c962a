"""Definitions and operators in words: signatures, comments, what they mean."""

from __future__ import annotations

from fractions import Fraction

from compiler.frontend import SIGNATURES
from compiler.ir.expression import show
from compiler.ir.meanings import MEANINGS, PARAMETERS
from compiler.ir.ops import OPERATORS, Attribute
from dsl import syntax
from dsl.references import Definition
from dsl.scan import scan
from dsl.signature import FUNCTIONS, written

_LONGEST = 80


def definition_text(definition: Definition) -> str:
    """A parameter, binding, constant, index or input with what is written of it, on one line."""
    written = definition.name if definition.kind == "index" else definition.node.span.text
    text = " ".join(written.split())
    return f"{definition.kind} `{text if len(text) <= _LONGEST else text[: _LONGEST - 1] + '…'}`"


def header_text(block: syntax.Block) -> str:
    """A block's definition up to its brace, as it is written, on one line."""
    text = block.span.source.text[block.span.start : block.body.span.start]
    return " ".join(text.split())


def operator_text(name: str) -> str:
    """An operator's signature with the defaults that are constants; of what else is built in, its arguments."""
    if name not in OPERATORS:
        return written({**FUNCTIONS, **SIGNATURES}[name])
    operator = OPERATORS[name]
    parts = [*operator.tensors]
    for each in operator.attributes:
        parts.append(each.name if each.required else f"{each.name} = {_default(each)}")
    return f"{name}({', '.join(parts)})" if parts else name


def _default(attribute: Attribute) -> str:
    """A default as it is written in a call; `…` where the operator works it out."""
    default = attribute.default
    if default is None:
        return "…"
    return f"{float(default):g}" if isinstance(default, Fraction) else show(default)


def comment_above(item: syntax.Item) -> str:
    """The comment in the lines right above an item, without its `#`."""
    source = item.span.source
    lines = {each.line: each for each in scan(source).comments}
    found: list[str] = []
    line = item.span.line - 1
    while line in lines and source.line(line).lstrip().startswith("#"):
        found.append(lines[line].text.lstrip("#").strip())
        line -= 1
    return "\n".join(reversed(found))


def meaning_of(operator: str) -> str:
    """What an operator computes, in a sentence; empty where nothing is written of it."""
    if operator not in MEANINGS:
        return ""
    computes = MEANINGS[operator].computes
    return f"{computes[0].upper()}{computes[1:]}."


def meaning_of_parameter(operator: str, parameter: str) -> str | None:
    """What an operator's parameter means; None where it is no operator."""
    if operator not in OPERATORS:
        return None
    return PARAMETERS.get(f"{operator}.{parameter}") or PARAMETERS.get(parameter)
