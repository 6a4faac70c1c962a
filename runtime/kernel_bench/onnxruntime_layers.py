"""How long ONNX Runtime takes for each value of a network, by its own profiler, while it runs the whole network."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from runtime.kernel_bench.elsewhere import Ran
from runtime.peers.onnxruntime import PACKAGES, session_options, version

if TYPE_CHECKING:
    import onnx

__all__ = ["NAME", "PACKAGES", "layers", "version"]

NAME = "onnxruntime"
WARM_UP = 5
BLOCKED = "_nchwc"
"""What is added to the name of a node that computes in blocks of channels; its result has no name of the network's."""
REORDERS = ("ReorderInput", "ReorderOutput")
"""The nodes that change the layout to blocks of channels, and back."""
ERRORS = 3
_TIMED = "_kernel_time"


def layers(model: Path, threads: int, image: Any, runs: int, folder: Path) -> list[Ran]:
    """The nodes that ONNX Runtime makes of the network; a fused one has the name of a value that it computes.

    The profiler counts whole microseconds; the mean of the middle half of the runs has finer ones.
    """
    import onnx
    import onnxruntime

    from compiler.codegen.from_onnx import from_onnx, read_model
    from compiler.codegen.to_onnx import model_bytes, to_onnx

    written, optimised = folder / "network.onnx", folder / "optimised.onnx"
    # Written anew, so that the names of the nodes are those of the values that they compute.
    written.write_bytes(model_bytes(to_onnx(*from_onnx(read_model(model)))))
    options = session_options(threads)
    options.enable_profiling = True
    options.profile_file_prefix = str(folder / "profile")
    options.optimized_model_filepath = str(optimised)
    options.log_severity_level = ERRORS
    session = onnxruntime.InferenceSession(str(written), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    for _ in range(WARM_UP + runs):
        session.run(None, {name: image})
    times = node_times(json.loads(Path(session.end_profiling()).read_text()))
    return nodes_run(onnx.load(optimised).graph, times)


def nodes_run(graph: onnx.GraphProto, times_us: Mapping[str, float]) -> list[Ran]:
    """The nodes of an optimised graph, with what computes what they read; constants are left out."""
    makers = {output: node.name for node in graph.node for output in node.output}
    inputs = {value.name for value in graph.input}
    return [
        Ran(
            node.name,
            () if node.op_type in REORDERS else (*node.output, node.name.removesuffix(BLOCKED)),
            tuple(makers.get(name, name) for name in node.input if name in makers or name in inputs),
            times_us.get(node.name, 0.0),
        )
        for node in graph.node
    ]


def node_times(events: list[dict[str, Any]]) -> dict[str, float]:
    """Microseconds by node, of a profile of `WARM_UP` runs and more."""
    durations: dict[str, list[float]] = defaultdict(list)
    for event in events:
        if event["cat"] == "Node" and event["name"].endswith(_TIMED):
            durations[event["name"].removesuffix(_TIMED)].append(event["dur"])
    return {node: _middle(values[WARM_UP:]) for node, values in durations.items()}


def _middle(values: list[float]) -> float:
    """The mean of the middle half."""
    ranked, quarter = sorted(values), len(values) // 4
    return float(np.mean(ranked[quarter : len(values) - quarter]))
