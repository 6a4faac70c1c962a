"""A kernel report as text, in its orders, as JSON and as a plot."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import asdict
from pathlib import Path

import pytest

from runtime.files import read_json
from runtime.kernel_bench.plot import roofline_svg
from runtime.kernel_bench.rows import SCHEMA, ordered, write_report
from runtime.kernel_bench.text import report_lines
from tests.conftest import Golden
from tests.runtime.kernel_bench.reports import report


def test_the_table(golden: Golden) -> None:
    golden("kernel_bench/table.txt", "\n".join(report_lines(report(), "time")) + "\n")


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("time", ["conv", "linear", "pool"]),
        ("share", ["linear", "pool", "conv"]),
        ("gain", ["conv", "linear", "pool"]),
        ("gflops", ["conv", "linear", "pool"]),
        ("name", ["conv", "linear", "pool"]),
    ],
)
def test_orders(order: str, names: list[str]) -> None:
    assert [kernel.name for kernel in ordered(report().kernels, order)] == names


def test_the_plot(golden: Golden) -> None:
    text = roofline_svg(report())
    golden("kernel_bench/roofline.svg", text)
    root = ElementTree.fromstring(text)
    dots = [shape for shape in root.iter() if shape.get("class") in ("kernel", "kernel slow")]
    assert [dot.get("class") for dot in dots] == ["kernel", "kernel slow"], "pooling computes nothing"


def test_the_file_holds_all_of_it(tmp_path: Path) -> None:
    path = write_report(tmp_path / "kernels.json", report())
    held = read_json(path, SCHEMA)
    assert [kernel["name"] for kernel in held["kernels"]] == ["conv", "pool", "linear"]
    assert held["limits"]["levels"][1] == asdict(report().limits.levels[1])
