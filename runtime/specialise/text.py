"""The cross table for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from runtime.report.numbers import count, percent
from runtime.specialise.cross import Cell, Cross
from runtime.text_table import table_lines

HOME = "*"
NONE = "-"


def cross_lines(cross: Cross) -> Iterator[str]:
    """A row for each network, columns for each target; below, whose network is the best on each."""
    trained = any(network.accuracy_test is not None for network in cross.networks.values())
    header = ["searched for", "score", *(["test"] if trained else []), "MACs", "parameters"]
    for target in cross.targets:
        header += [f"{target} ms", "±", "measured", "limit"]
    yield from table_lines(header, [_row(cross, name, trained) for name in cross.networks])
    yield f"{HOME} on the target that it was searched for; latencies by the target's table, measured where it runs here"
    for target, on in cross.targets.items():
        limits = " and ".join(on.limits) or "no limit"
        best = cross.best_on(target)
        if cross.networks:
            verdict = "none holds it" if best is None else f"the best is the network of {best}"
            yield f"{target}: {limits}: {verdict}"
        if on.noisy:
            yield f"{target}: the machine was busy while the networks were measured"
    for target, why in cross.failed.items():
        yield f"{target}: failed: {why}"


def _row(cross: Cross, name: str, trained: bool) -> list[str]:
    network = cross.networks[name]
    row = [name, f"{network.score:.4g}"]
    if trained:
        row.append(NONE if network.accuracy_test is None else percent(network.accuracy_test))
    row += [count(network.macs), count(network.params)]
    for target, cell in network.on.items():
        row += _cells(cell, home=target == name)
    return row


def _cells(cell: Cell, home: bool) -> list[str]:
    error = NONE if cell.error_ms is None else f"{cell.error_ms:.3g}"
    measured = NONE if cell.measured_ms is None else f"{cell.measured_ms:.4g}"
    return [
        f"{HOME if home else ''}{cell.predicted_ms:.4g}",
        error,
        measured,
        "held" if cell.holds else "broken",
    ]
