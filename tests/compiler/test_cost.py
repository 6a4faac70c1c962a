"""Costs are exact: published networks, a benchmark's 6,561, and the sum of their parts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from compiler.cost import cost
from compiler.derive import derive
from compiler.ir.graph import decisions_of
from tests.compiler_spaces import shipped, space


def test_mobilenet_v2_has_its_published_size() -> None:
    found = cost(derive(shipped("mobilenet_v2"), {}))
    assert (found.params, found.macs) == (3_504_872, 300_774_272)


@pytest.mark.data
def test_every_hundredth_network_of_nas_bench_macro(shared_data: Path) -> None:
    published = json.loads((shared_data / "nas_bench_macro/nas-bench-macro_cifar10.json").read_text())
    graph = shipped("nas_bench_macro")
    paths = [decision.path for decision in decisions_of(graph.graph)]
    for code, row in list(published.items())[::100]:
        choices = {path: ("zero", "one", "two")[int(digit)] for path, digit in zip(paths, code, strict=True)}
        found = cost(derive(graph, choices))
        assert (found.params, found.macs) == (row["params"], row["flops"]), code


def test_peak_memory_by_hand() -> None:
    # [3, 8, 8] -> [16, 8, 8] in place through bn and relu -> add keeps both operands and the result alive.
    graph = space("x = conv(16, 3) -> bn -> relu\nadd(x, x -> conv(16, 1)) -> global_pool")
    assert cost(derive(graph, {})).peak_memory_bytes == 4 * 3 * 16 * 64


def test_an_in_place_operator_takes_its_operands_memory() -> None:
    graph = space("conv(16, 3) -> bn -> relu -> global_pool")
    assert cost(derive(graph, {})).peak_memory_bytes == 4 * (3 * 64 + 16 * 64)
