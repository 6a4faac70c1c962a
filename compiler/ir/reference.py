"""docs/operators.md: the operator table in words."""

from __future__ import annotations

from compiler.ir.expression import evaluate, show
from compiler.ir.ops import MERGES, OPERATORS, SIZE_CAP, Attribute, Operator

_KINDS = {
    "size": f"integer from 1 to {SIZE_CAP:,}",
    "count": f"integer from 0 to {SIZE_CAP:,}",
    "ratio": "number from 0 to 1",
    "flag": "`true` or `false`",
}
_PARAMETERS = {
    "out": "channels of the result",
    "kernel": "height and width of the window",
    "stride": "step of the window, in both directions",
    "padding": "rows and columns added on each side: zeros for convolutions, nothing for pools",
    "dilation": "distance of the window's elements",
    "groups": "groups of channels; divides those of operand and result",
    "bias": "whether a number is added to each channel of the result",
    "eps": "added to the variance",
    "momentum": "weight of a batch in the running mean and variance",
    "rate": "chance that an element is set to zero in training",
}
_WINDOW = (
    "the window's positions: `H' = (H + 2 padding - dilation (kernel - 1) - 1) // stride + 1`, `W'` alike"
)
_POOL = _WINDOW.replace("dilation (kernel - 1) - 1", "kernel")
_MEANING = {
    "conv": ("convolution", "`[out, H', W']`", "`out H' W' kernel² C / groups`", _WINDOW),
    "depthwise": ("convolution of each channel by itself", "`[C, H', W']`", "`C H' W' kernel²`", "as `conv`"),
    "linear": ("linear layer", "`[out]`, of tokens `[T, out]`", "`out C`; of tokens `T out C`", ""),
    "bn": ("batch norm, with a scale and a shift for each channel", "", "", ""),
    "relu": ("`max(x, 0)`", "", "", ""),
    "relu6": ("`min(max(x, 0), 6)`", "", "", ""),
    "sigmoid": ("`1 / (1 + exp(-x))`", "", "", ""),
    "hsigmoid": ("`relu6(x + 3) / 6`", "", "", ""),
    "hswish": ("`x hsigmoid(x)`", "", "", ""),
    "swish": ("`x sigmoid(x)`", "", "", ""),
    "gelu": ("`x Φ(x)`, with the normal distribution's function Φ", "", "", ""),
    "max_pool": ("greatest element of the window", "`[C, H', W']`", "", _POOL),
    "avg_pool": ("mean of what the window holds of the operand", "`[C, H', W']`", "", "as `max_pool`"),
    "global_pool": ("mean of each channel", "`[C]`", "", ""),
    "dropout": (
        "in training zeros elements by chance and scales the others by `1 / (1 - rate)`; else passes them on",
        "",
        "",
        "",
    ),
    "identity": ("passes its operand on", "", "", ""),
    "zero": ("zeros of the operand's type", "", "", ""),
    "add": ("sum, element by element", "that type", "", ""),
    "mul": ("product, element by element", "that type", "", ""),
    "concat": ("operands one after the other, by channels", "their type, with the channels summed", "", ""),
}
"""What each operator computes, the type it gives ("" for its operand's), its MACs, and a remark."""
_TRAINED = {
    "conv": "`out kernel² C / groups`, and `out` of the bias",
    "depthwise": "`C kernel²`, and `C` of the bias",
    "linear": "`out C`, and `out` of the bias",
    "bn": "`2 C`",
}
_IMAGES = ("conv", "depthwise", "max_pool", "avg_pool", "global_pool")

_HEAD = """# Operators

Every operator of the language, with its parameters and defaults, as the compiler's table (`compiler/ir/ops.py`)
has them; this page is written from it. `C`, `H`, `W` are the operand's channels, height and width, `T` its tokens.
MACs are counted for batch 1. An operator for which no trained elements or no MACs are stated has none.
"""


def markdown() -> str:
    """The whole of docs/operators.md."""
    parts = [_HEAD, "## Steps\n", "An argument is given by name, or by place in the order shown.\n"]
    parts += [_section(each) for each in OPERATORS.values() if each.name not in MERGES]
    parts += [
        "## Merges\n",
        "These are wiring: `add(x, y)`, or `add { a | b }`. They take one or more operands.\n",
    ]
    parts += [_section(OPERATORS[name]) for name in MERGES]
    return "\n".join(parts)


def _section(operator: Operator) -> str:
    computes, gives, macs, remark = _MEANING[operator.name]
    lines = [f"### `{_call(operator)}`\n", f"{computes[0].upper()}{computes[1:]}.\n"]
    lines += [
        f"- takes {_operands(operator)}",
        f"- gives {gives or 'the type of its operand'}" + _after(remark),
    ]
    lines += [f"- trained elements: {_TRAINED[operator.name]}"] if operator.name in _TRAINED else []
    lines += [f"- MACs: {macs}"] if macs else []
    if operator.attributes:
        lines += ["", "| parameter | meaning | value | default |", "|---|---|---|---|"]
        lines += [_row(operator, attribute) for attribute in operator.attributes]
    return "\n".join([*lines, ""])


def _after(remark: str) -> str:
    return f"; {remark}" if remark else ""


def _call(operator: Operator) -> str:
    if operator.arity is None:
        return f"{operator.name}(x, …)"
    return operator.name + (
        f"({', '.join(a.name for a in operator.attributes)})" if operator.attributes else ""
    )


def _operands(operator: Operator) -> str:
    if operator.name == "linear":
        return "`[C]` or `[T, C]`"
    if operator.name == "concat":
        return "operands that differ in channels only"
    if operator.arity is None:
        return "operands of one type"
    return "`[C, H, W]`" if operator.name in _IMAGES else "any type"


def _row(operator: Operator, attribute: Attribute) -> str:
    meaning = _PARAMETERS[attribute.name]
    return f"| `{attribute.name}` | {meaning} | {_KINDS[attribute.kind]} | {_default(operator, attribute)} |"


def _default(operator: Operator, attribute: Attribute) -> str:
    if attribute.required:
        return "must be given"
    if attribute.default is not None:
        return f"`{_decimal(attribute)}`"
    if operator.name.endswith("_pool"):
        return "`(kernel - 1) / 2`; `0` for an even kernel; at most `kernel / 2`"
    return "`dilation * (kernel - 1) / 2`; must be given where that is no integer"


def _decimal(attribute: Attribute) -> str:
    assert attribute.default is not None
    literal = evaluate(attribute.default, {})
    return f"{float(literal):g}" if attribute.kind == "ratio" else show(literal)
