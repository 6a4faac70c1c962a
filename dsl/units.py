"""Units of quantities: the dimensions, their units and exact conversion."""

from __future__ import annotations

from fractions import Fraction

from dsl.syntax import Exact, Quantity

_MICROSECOND, _MILLISECOND, _SECOND = 1000, 1000**2, 1000**3

UNITS: dict[str, dict[str, int]] = {
    "time": {
        "ns": 1,
        "us": _MICROSECOND,
        "ms": _MILLISECOND,
        "s": _SECOND,
        "min": 60 * _SECOND,
        "h": 3600 * _SECOND,
    },
    "count": {"K": 1000, "M": 1000**2, "G": 1000**3},
    "bytes": {
        "B": 1,
        "KB": 1000,
        "MB": 1000**2,
        "GB": 1000**3,
        "KiB": 1024,
        "MiB": 1024**2,
        "GiB": 1024**3,
    },
}
"""Each dimension's units, in nanoseconds, ones and bytes."""

METRICS = {"macs": "count", "params": "count", "peak_memory": "bytes", "latency": "time"}
"""What a cap can bound, and the dimension of its limit."""


def dimension(quantity: Quantity) -> str:
    """`time`, `count` or `bytes`."""
    return next(name for name, units in UNITS.items() if quantity.unit in units)


def in_units_of(quantity: Quantity, unit: str) -> Exact:
    """The number of `unit`s in `quantity`, exactly; of ones or bytes where `unit` is empty.

    Raises:
        ValueError: the units measure different things.
    """
    units = UNITS[dimension(quantity)]
    if unit not in units and unit != "":
        raise ValueError(f"{quantity.unit} is not a unit of the dimension of {unit}")
    exact = Fraction(quantity.value) * units[quantity.unit] / (units[unit] if unit else 1)
    return exact.numerator if exact.denominator == 1 else exact
