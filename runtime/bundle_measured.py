"""What was measured of a bundle where it was built: `benchmark.json` in its folder.

A measurement is never the same twice, and a bundle is the same bytes for the same inputs. So it stands beside what
the manifest lists, names the bundle it is of by its digest, and is signed by nobody: a note, not a part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from runtime import device
from runtime.benchmark import Benchmark, Latency
from runtime.bundle_runner.manifest import UNLISTED
from runtime.files import FileProblem, json_document, json_payload, write_json

_, BENCHMARK = UNLISTED
SCHEMA = "onepath.bundle_benchmark/1"
WAY_OUT = "delete it; the bundle itself does without"


def write_measured(folder: Path, digest: str, threads: int, measured: Latency | Benchmark) -> Path:
    """Keep the latency of the bundle in `folder` beside it, on which processor that was, and whether it was disturbed.

    Raises:
        FileProblem: the place cannot be written.
    """
    kept = ("latency_p50_ms", "latency_p90_ms", "latency_p99_ms", "runs")
    times = {name: value for name, value in asdict(measured).items() if name in kept}
    noisy = measured.noisy if isinstance(measured, Latency) else bool(measured.noise.get("noisy"))
    machine = measured.machine if isinstance(measured, Benchmark) else {}
    here = {"processor": machine.get("processor") or device.processor_name(), "threads": threads}
    return write_json(folder / BENCHMARK, {"bundle": digest, **here, **times, "noisy": noisy}, SCHEMA)


def parse_measured(data: bytes, digest: str, path: Path) -> Mapping[str, Any]:
    """What a measurement in these bytes says; `path` names it in messages.

    Raises:
        FileProblem: it was damaged, or is of another bundle.
    """
    payload = json_payload(path, data, SCHEMA)
    if json_document(payload, SCHEMA).encode() != data:
        raise FileProblem(path, "was damaged or changed", WAY_OUT)
    if payload.pop("bundle", None) != digest:
        raise FileProblem(path, "was measured of another bundle", WAY_OUT)
    return payload
