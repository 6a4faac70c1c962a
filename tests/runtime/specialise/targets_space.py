"""A small space, two devices by their tables that want different networks, and a function that judges."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner, Result

from runtime.cli import app

SPACE = """
block layer(kernel) { conv(8, kernel) -> relu }
space small {
    input [1, 8, 8]
    output [10]
    conv(8, 3) -> relu -> choose { layer(1) | layer(3) | layer(5) | none: identity }
    -> choose { layer(1) | layer(3) | layer(5) | none: identity } -> global_pool -> linear(10)
}
target phone { latency_table = "phone.json" }
target watch { latency_table = "watch.json" }
"""
SEARCH = """
search small {
    evaluator = function("judge:score")
    strategy = random(samples = 40)
    latency <= 5 ms on phone
    latency <= 5 ms on watch
}
"""
JUDGE = """
KERNELS = {"layer": 1, "layer#2": 3, "layer#3": 5, "none": 0}


def score(choices):
    return sum(KERNELS[choice] for choice in choices.values())
"""
STEM = "f32 nhwc (1x8x8) conv(%0, out=8, kernel=3); relu(%1)"
HEAD = "f32 nhwc (8x8x8) global_pool(%0); linear(%1, out=10)"
PHONE_MS, WATCH_MS = (0.5, 1.0, 3.0), (1.0, 2.5, 1.4)
"""By kernel 1, 3 and 5: the phone has no time for two of kernel 5, the watch none for two of kernel 3."""


def table(device: str, times_ms: tuple[float, float, float]) -> str:
    entries = {STEM: 1.0, HEAD: 1.0}
    for kernel, time_ms in zip((1, 3, 5), times_ms, strict=True):
        entries[f"f32 nhwc (8x8x8) conv(%0, out=8, kernel={kernel}); relu(%1)"] = time_ms
    rows = {name: {"mean_ms": value} for name, value in entries.items()}
    return json.dumps({"schema": "onepath.block_latency/1", "device": device, "entries": rows})


def written(folder: Path, search: str = SEARCH, more: str = "") -> Path:
    """The file of the space in a folder, with its tables and its judge."""
    (folder / "phone.json").write_text(table("a phone", PHONE_MS))
    (folder / "watch.json").write_text(table("a watch", WATCH_MS))
    (folder / "judge.py").write_text(JUDGE)
    path = folder / "small.space"
    path.write_text(SPACE + search + more)
    return path


def call(command: str, file: Path, targets: str, *more: str) -> Result:
    out = str(file.parent / "out")
    return CliRunner().invoke(app, [command, str(file), "--targets", targets, "--out", out, *more])
