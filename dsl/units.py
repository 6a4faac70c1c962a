"""Units of quantities: what a metric may be written in, and its base unit."""

from __future__ import annotations

from dsl.syntax import Exact, Quantity

_THOUSAND, _BINARY = 1000, 1024

UNITS: dict[str, dict[str, Exact]] = {
    "time": {"ns": 1, "us": _THOUSAND, "ms": _THOUSAND**2, "s": _THOUSAND**3},
    "count": {"K": _THOUSAND, "M": _THOUSAND**2, "G": _THOUSAND**3},
    "bytes": {
        "KB": _THOUSAND,
        "MB": _THOUSAND**2,
        "GB": _THOUSAND**3,
        "KiB": _BINARY,
        "MiB": _BINARY**2,
        "GiB": _BINARY**3,
    },
}
"""Each dimension's units, in nanoseconds, ones and bytes."""


def dimension(quantity: Quantity) -> str:
    """`time`, `count` or `bytes`."""
    return next(name for name, units in UNITS.items() if quantity.unit in units)


def in_units_of(quantity: Quantity, unit: str) -> Exact:
    """The number of `unit`s in `quantity`, exactly.

    Raises:
        ValueError: the units measure different things.
    """
    units = UNITS[dimension(quantity)]
    if unit not in units and unit != "":
        raise ValueError(f"{quantity.unit} is not a unit of the dimension of {unit}")
    return quantity.value * units[quantity.unit] / (units[unit] if unit else 1)  # type: ignore[return-value]
