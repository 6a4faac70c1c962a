"""The summary's layers add up to the network: its exact cost, and what the table predicts."""

from __future__ import annotations

import pytest
import sample_report

from compiler.cost import cost
from compiler.pricing import inference_plan
from runtime.report.layers import shape
from runtime.report.summary import summary_cells, summary_header, summary_lines, summary_of


@pytest.mark.parametrize("name", ["sample", "quickstart", "proxyless_mobile", "mobilenet_v2", "cifar10"])
def test_layers_add_up_to_the_network(name: str) -> None:
    report = sample_report.sample(name)
    summary = summary_of(report.network, report.mixed, report.table)
    size = cost(report.network)
    assert sum(layer.macs for layer in summary.layers) == size.macs
    assert sum(layer.params for layer in summary.layers) == size.params
    assert report.table is not None
    predicted = report.table.predict_plan(inference_plan(report.network)).latency_ms
    assert summary.latency_ms == pytest.approx(predicted)
    assert [each["layer"] for each in summary.describe() if each["layer"] != "fixed"] == [
        choice.name for choice in report.mixed
    ]


def test_rows_name_choices_and_shares_and_end_with_the_total() -> None:
    report = sample_report.sample()
    summary = summary_of(report.network, report.mixed, report.table)
    rows = list(summary_cells(summary))
    assert {len(row) for row in rows} == {len(summary_header(summary))}
    assert rows[1][:4] == ("stage.i1.layer", "mbconv kernel=5 expand=3", shape((16, 14, 14)), "3")
    assert rows[4][1:8] == ("skip", "-", "0", "-", "-", "0", "0.0\N{NO-BREAK SPACE}%")
    assert [row[0] for row in rows[-2:]] == ["constant of the model", "total"]
    assert rows[-1][5] == rows[-1][7] == rows[-1][9] == "100.0\N{NO-BREAK SPACE}%"


def test_times_are_in_a_unit_that_fits() -> None:
    for name, unit in (("sample", "µs"), ("proxyless_mobile", "ms")):
        report = sample_report.sample(name)
        summary = summary_of(report.network, report.mixed, report.table)
        assert summary_header(summary)[4] == unit
        assert summary.latency_ms is not None
        shown = float(list(summary_cells(summary))[-1][4])
        assert shown == pytest.approx(summary.latency_ms * (1e3 if unit == "µs" else 1), abs=0.006)


def test_without_a_table_there_are_no_times() -> None:
    report = sample_report.sample()
    summary = summary_of(report.network, report.mixed)
    assert summary.latency_ms is None
    lines = list(summary_lines(summary))
    assert len({len(line) for line in lines[:2]}) == 1
    assert lines[-1].split()[:4] == ["total", "22", "-", "-"]
