"""Bundles of random networks answer as PyTorch and ONNX Runtime do, within 1e-4 of the largest score."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks/agreement.py"


@pytest.mark.torch
@pytest.mark.tvm
@pytest.mark.slow
def test_bundles_of_random_networks_agree() -> None:
    pytest.importorskip("onnxruntime")
    command = [sys.executable, str(SCRIPT), "--count", "3", "--format", "json"]
    done = subprocess.run(command, cwd=SCRIPT.parents[1], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["space"], answer["networks"], answer["disagreeing"]) == ("cifar10", 3, [])
    assert len(answer["differences"]) == 3
    assert max(max(pair) for pair in answer["differences"]) <= 1e-4
    assert answer["least_spread_of_answers"] > 0.03
