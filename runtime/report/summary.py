"""The network layer by layer: what was chosen, and what of latency, MACs and parameters is where."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from compiler.ir.graph import Network
from compiler.latency import LatencyTable
from runtime.report.layers import Layer, layers_of, shape
from runtime.report.numbers import percent
from runtime.report.values import MixedChoice
from runtime.text_table import table_lines

TEXT_COLUMNS = (0, 1, 2)
"""The columns of names; the others are of numbers."""
FEW_MS = 1.0
"""A network that takes less has its layers in microseconds."""
_NONE = "-"


@dataclass(frozen=True)
class Summary:
    """The layers from input to output. `constant_ms` is the part of the latency that belongs to none of them."""

    layers: tuple[Layer, ...]
    constant_ms: float | None

    @property
    def latency_ms(self) -> float | None:
        """The latency that the table predicts for the whole network."""
        if self.constant_ms is None:
            return None
        return self.constant_ms + sum(layer.latency_ms or 0.0 for layer in self.layers)

    def describe(self) -> list[dict[str, Any]]:
        """For an answer in JSON."""
        return [
            {
                "layer": layer.place,
                "choice": layer.title,
                "output": None if layer.output is None else list(layer.output),
                "kernels": layer.kernels,
                "latency_ms": layer.latency_ms,
                "macs": layer.macs,
                "params": layer.params,
            }
            for layer in self.layers
        ]


def summary_of(network: Network, mixed: Sequence[MixedChoice], table: LatencyTable | None = None) -> Summary:
    """The summary of a network, with the latencies of a table.

    Raises:
        TableProblem: the table lacks a kernel.
    """
    return Summary(
        layers_of(network, mixed, table),
        None if table is None else table.model.constant_ms,
    )


def summary_header(summary: Summary) -> tuple[str, ...]:
    """The names of the columns, with the unit of the latencies."""
    unit = "µs" if (summary.latency_ms or 0.0) < FEW_MS else "ms"
    return ("layer", "choice", "gives", "kernels", unit, "share", "MACs", "share", "parameters", "share")


def summary_cells(summary: Summary) -> Iterator[tuple[str, ...]]:
    """A row for each layer under `summary_header`, what belongs to no layer, and the total."""
    latency_ms = summary.latency_ms
    macs, params = sum(each.macs for each in summary.layers), sum(each.params for each in summary.layers)
    for layer in summary.layers:
        gives = _NONE if layer.output is None else shape(layer.output)
        yield (
            layer.place, layer.title, gives, str(layer.kernels), *_time(layer.latency_ms, latency_ms),
            f"{layer.macs:,}", _share(layer.macs, macs), f"{layer.params:,}", _share(layer.params, params),
        )  # fmt: skip
    if summary.constant_ms:
        rest = _time(summary.constant_ms, latency_ms)
        yield ("constant of the model", "", "", "", *rest, "", "", "", "")
    kernels = str(sum(layer.kernels for layer in summary.layers))
    total = _time(latency_ms, latency_ms)
    yield (
        "total",
        "",
        "",
        kernels,
        *total,
        f"{macs:,}",
        _share(macs, macs),
        f"{params:,}",
        _share(params, params),
    )


def summary_lines(summary: Summary) -> Iterator[str]:
    """The summary as the lines of a table."""
    return table_lines(summary_header(summary), list(summary_cells(summary)), TEXT_COLUMNS)


def _time(value: float | None, total: float | None) -> tuple[str, str]:
    if value is None or total is None:
        return _NONE, _NONE
    return f"{value * 1e3:.2f}" if total < FEW_MS else f"{value:.3f}", _share(value, total)


def _share(part: float, whole: float) -> str:
    return percent(part / whole) if whole else _NONE
