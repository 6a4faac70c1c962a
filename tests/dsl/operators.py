"""Signatures of a few operators, as the compiler hands them to the checks."""

from __future__ import annotations

from dsl.signature import Parameter, Signature

_SHAPES = {
    "conv": ("out", "kernel", "stride=", "padding=", "dilation=", "groups=", "bias="),
    "depthwise": ("kernel", "stride=", "padding=", "dilation=", "bias="),
    "linear": ("out", "bias="),
    "max_pool": ("kernel", "stride=", "padding="),
    "avg_pool": ("kernel", "stride=", "padding="),
    "slice": ("start", "stop"),
    "crop": ("top", "left"),
    "dropout": ("rate=",),
}
_PLAIN = ("bn", "relu", "relu6", "hswish", "hsigmoid", "global_pool", "identity", "zero")

OPERATORS = {
    name: Signature(name, tuple(Parameter(each.rstrip("="), not each.endswith("=")) for each in parameters))
    for name, parameters in {**_SHAPES, **dict.fromkeys(_PLAIN, ())}.items()
}
