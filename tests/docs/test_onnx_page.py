"""docs/onnx.md names the operators that are read, and what it shows works."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from compiler.codegen.from_onnx import BYTES_CAP, NODE_CAP, OLDEST_OPSET
from compiler.codegen.onnx_constants import BYTES_CAP as CONSTANTS_CAP
from compiler.codegen.onnx_constants import FOLDED
from compiler.codegen.onnx_rules import RULES
from compiler.ir.ops import SIZE_CAP
from runtime.checked_bundle import CHECK_LIMIT
from runtime.cli import app
from runtime.model_build import BUDGET_S, CHECK_INPUTS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/onnx.md").read_text(encoding="utf-8")


def test_its_operators_are_those_that_are_read() -> None:
    rows = PAGE.partition("| operators | |")[2].partition("\n\n")[0]
    named = {name for name in re.findall(r"`([A-Z]\w+)`", rows) if name != "NOTSET"}
    assert named == {*RULES, *FOLDED}


def test_its_numbers_are_those_of_the_code() -> None:
    assert f"opset {OLDEST_OPSET} or later" in PAGE
    assert f"{NODE_CAP:,} nodes" in PAGE
    assert (BYTES_CAP + 1, CONSTANTS_CAP, SIZE_CAP) == (2 << 30, 1 << 30, 1_000_000)
    assert (CHECK_LIMIT, CHECK_INPUTS, BUDGET_S) == (1e-4, 8, 60.0)


@pytest.mark.torch
@pytest.mark.tvm
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_its_example_builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (script,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    command = next(line for line in PAGE.splitlines() if line.startswith("onepath build model.onnx"))
    monkeypatch.chdir(tmp_path)
    exec(script, {})  # it writes model.onnx
    done = CliRunner().invoke(app, shlex.split(command)[1:])
    assert done.exit_code == 0, done.output
    assert Path("runs/model/bundle/model.so").exists()
