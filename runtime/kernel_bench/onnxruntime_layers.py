"""How long ONNX Runtime takes for each value of a network, by its own profiler, while it runs the whole network."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from runtime.peers.onnxruntime import PACKAGES, session_options, version

__all__ = ["NAME", "PACKAGES", "layers", "version"]

NAME = "onnxruntime"
WARM_UP = 5
_SUFFIXES = re.compile(r"(_nchwc)?_kernel_time$")


def layers(model: Path, threads: int, image: Any, runs: int, folder: Path) -> dict[str, float]:
    """Microseconds by the name that ONNX Runtime gives a node: that of the last value it computes.

    The profiler counts whole microseconds; the mean of the middle half of the runs has finer ones.
    """
    import onnxruntime

    options = session_options(threads)
    options.enable_profiling = True
    options.profile_file_prefix = str(folder / "profile")
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    for _ in range(WARM_UP + runs):
        session.run(None, {name: image})
    return node_times(json.loads(Path(session.end_profiling()).read_text()))


def node_times(events: list[dict[str, Any]]) -> dict[str, float]:
    """The times of the nodes in a profile of `WARM_UP` runs and more, as `layers` gives them."""
    durations: dict[str, list[float]] = defaultdict(list)
    for event in events:
        if event["cat"] == "Node" and event["name"].endswith("_kernel_time"):
            durations[_SUFFIXES.sub("", event["name"])].append(event["dur"])
    return {node: _middle(values[WARM_UP:]) for node, values in durations.items()}


def _middle(values: list[float]) -> float:
    """The mean of the middle half."""
    ranked, quarter = sorted(values), len(values) // 4
    return float(np.mean(ranked[quarter : len(values) - quarter]))
