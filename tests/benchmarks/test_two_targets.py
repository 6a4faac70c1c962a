"""The comparison of two targets: the layers that differ are counted once each; where there is no table it says so."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from runtime.specialise.cross import Cross

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def two_targets(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("two_targets")


def test_a_layer_that_one_network_skips_is_one_that_differs(two_targets: Any) -> None:
    kept = json.loads((BENCHMARKS / "results/two_targets.json").read_text())
    first, second = (network["choices"] for network in kept["cross"]["networks"].values())
    layers = {path.partition(".layer")[0] for path in first | second}
    differ = [
        layer
        for layer in layers
        if any(
            first.get(path) != second.get(path)
            for path in first | second
            if path.startswith(f"{layer}.layer")
        )
    ]
    assert two_targets._differing(msgspec.convert(kept["cross"], Cross)) == len(differ)
    assert (kept["differing_decisions"], kept["decisions"]) == (len(differ), len(layers))
    assert f"They differ in {len(differ)} of {len(layers)} layers." in (BENCHMARKS / "README.md").read_text()


@pytest.mark.parametrize("given", [[], ["--table", "nowhere.yaml"]])
def test_without_the_table_it_says_where_to_have_it(
    given: list[str], two_targets: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["two_targets.py", *given])
    assert two_targets.main() == 2
    said = capsys.readouterr().err
    assert "https://github.com/han-cai/files with --table" in said
    assert ("no table is given" in said) == (not given)
