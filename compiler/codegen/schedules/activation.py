"""Activations as vector arithmetic: no call to libm, whose functions LLVM would apply lane by lane.

`exp` is Cephes' (S. Moshier, expf.c: range reduction by ln 2, polynomial of degree 5, 2 ulp); `erf` is the
rational approximation of Eigen's and TVM's `fast_erf` (absolute error below 4e-7).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

from compiler.codegen.schedules.emit import Emitter, number, vector_type
from compiler.codegen.tvm_api import Expr, tirx
from compiler.ir.expression import Literal

Settings = Mapping[str, Literal]

_EXP = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
_ERF_NUMERATOR = (
    -2.72614225801306e-10,
    2.77068142495902e-08,
    -2.10102402082508e-06,
    -5.69250639462346e-05,
    -7.34990630326855e-04,
    -2.95459980854025e-03,
    -1.60960333262415e-02,
)
_ERF_DENOMINATOR = (
    -1.45660718464996e-05,
    -2.13374055278905e-04,
    -1.68282697438203e-03,
    -7.37332916720468e-03,
    -1.42647390514189e-02,
)


def _at_least(low: float, x: Expr, lanes: int) -> Expr:
    """The greater one. `x` stands second, since of two that do not compare the second is taken: a NaN stays one."""
    return tirx.max(number(low, lanes), x)


def _clamp(x: Expr, low: float, high: float, lanes: int) -> Expr:
    return tirx.min(number(high, lanes), _at_least(low, x, lanes))


def _polynomial(x: Expr, coefficients: Sequence[float], lanes: int) -> Expr:
    value = number(coefficients[0], lanes)
    for coefficient in coefficients[1:]:
        value = value * x + number(coefficient, lanes)
    return value


def exp(emitter: Emitter, x: Expr, lanes: int) -> Expr:
    """e to the x, clamped to where fp32 has normal numbers."""
    x = emitter.let(_clamp(x, -87.3, 88.0, lanes))
    power = emitter.let(tirx.floor(x * number(1.44269504088896341, lanes) + number(0.5, lanes)))
    rest = emitter.let(x - power * number(0.693359375, lanes) - power * number(-2.12194440e-4, lanes))
    mantissa = _polynomial(rest, _EXP, lanes) * rest * rest + rest + number(1.0, lanes)
    kind = vector_type(lanes, "int32")
    biased = tirx.Cast(kind, power) + tirx.const(127, kind)
    scale = tirx.reinterpret(vector_type(lanes), tirx.shift_left(biased, tirx.const(23, kind)))
    return emitter.let(mantissa * scale)


def _sigmoid(emitter: Emitter, x: Expr, lanes: int) -> Expr:
    one = number(1.0, lanes)
    return one / (one + exp(emitter, number(0.0, lanes) - x, lanes))


def _hsigmoid(emitter: Emitter, x: Expr, lanes: int) -> Expr:
    return _clamp(x + number(3.0, lanes), 0.0, 6.0, lanes) * number(1 / 6, lanes)


def _gelu(emitter: Emitter, x: Expr, lanes: int) -> Expr:
    scaled = emitter.let(_clamp(x * number(0.7071067811865476, lanes), -4.0, 4.0, lanes))
    square = emitter.let(scaled * scaled)
    top = scaled * _polynomial(square, _ERF_NUMERATOR, lanes)
    erf = top / _polynomial(square, _ERF_DENOMINATOR, lanes)
    return number(0.5, lanes) * x * (number(1.0, lanes) + erf)


def _opaque(emitter: Emitter, x: Expr, lanes: int) -> Expr:
    """`x` out of a register: TVM's analysis looks through named values, and its work grows with each function
    that is applied to another by a factor."""
    return emitter.let(emitter.register(x, lanes).get())


def _tanh(emitter: Emitter, x: Expr, lanes: int) -> Expr:
    power = exp(emitter, _opaque(emitter, x, lanes) * number(-2.0, lanes), lanes)
    one = number(1.0, lanes)
    return (one - power) / (one + power)


def _elu(emitter: Emitter, x: Expr, lanes: int) -> Expr:
    x = _opaque(emitter, x, lanes)
    below = tirx.min(number(0.0, lanes), x)
    return _at_least(0.0, x, lanes) + (exp(emitter, below, lanes) - number(1.0, lanes))


def _leaky_relu(emitter: Emitter, x: Expr, lanes: int, settings: Settings) -> Expr:
    slope = settings["slope"]
    assert isinstance(slope, int | Fraction)
    return tirx.max(x, x * number(float(slope), lanes))


_PLAIN: Mapping[str, Callable[[Emitter, Expr, int], Expr]] = {
    "relu": lambda emitter, x, lanes: _at_least(0.0, x, lanes),
    "relu6": lambda emitter, x, lanes: _clamp(x, 0.0, 6.0, lanes),
    "sigmoid": _sigmoid,
    "hsigmoid": _hsigmoid,
    "hswish": lambda emitter, x, lanes: x * _hsigmoid(emitter, x, lanes),
    "swish": lambda emitter, x, lanes: x * _sigmoid(emitter, x, lanes),
    "gelu": _gelu,
    "tanh": _tanh,
    "elu": _elu,
    "identity": lambda emitter, x, lanes: x,
    "zero": lambda emitter, x, lanes: number(0.0, lanes),
}

FORMULAS = (*_PLAIN, "leaky_relu")
"""Elementwise operators of one operand."""


def formula(emitter: Emitter, operator: str, settings: Settings, x: Expr, lanes: int) -> Expr:
    """What an operator of `FORMULAS` makes of `x`, which has a name of its own."""
    if operator == "leaky_relu":
        return _leaky_relu(emitter, x, lanes, settings)
    return _PLAIN[operator](emitter, x, lanes)
