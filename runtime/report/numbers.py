"""Numbers as a person reads them, each with its unit."""

from __future__ import annotations

import math

_NO_BREAK = "\N{NO-BREAK SPACE}"
PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def figures(value: float, digits: int = 3) -> str:
    """`value` with about `digits` significant figures, without an exponent."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value)
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(places, 6)}f}"


def milliseconds(value: float) -> str:
    """A time: microseconds under a hundredth of a millisecond."""
    return f"{figures(value)}{_NO_BREAK}ms" if value >= 0.01 else f"{figures(value * 1e3)}{_NO_BREAK}µs"


def seconds(value: float) -> str:
    """A duration of a stage."""
    if value < 60:
        return f"{value:.1f}{_NO_BREAK}s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes}{_NO_BREAK}min{_NO_BREAK}{rest:02d}{_NO_BREAK}s"


def percent(share: float, places: int = 1) -> str:
    """A share of one, in percent."""
    return f"{100 * share:.{places}f}{_NO_BREAK}%"


def apart(error: float) -> str:
    """How far a prediction is from what was measured: `4.0 % under`."""
    return f"{percent(abs(error))} {'under' if error < 0 else 'over'}"


def count(value: float) -> str:
    """A count with a prefix: `2.73 M`."""
    for factor, prefix in PREFIXES:
        if abs(value) >= factor:
            return f"{figures(value / factor)}{_NO_BREAK}{prefix}"
    return f"{value:,.0f}"


def microseconds(value_ms: float) -> str:
    """A time in milliseconds as bare microseconds, for a column that states its unit."""
    return figures(value_ms * 1e3)


def times(ratio: float, digits: int = 3) -> str:
    """How many times one thing is another."""
    return f"{figures(ratio, digits)}\N{MULTIPLICATION SIGN}"


def scientific(value: float) -> str:
    """A small error, such as `2.1e-07`."""
    return f"{value:.1e}"


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round values from `low` to `high`, about as many as asked for."""
    span = high - low
    if span <= 0:
        return [low]
    raw = span / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 12) for index in range(first, math.floor(high / step + 1e-9) + 1)]
