"""What a stage answers, from its files, and whether the network found keeps the limits set for it."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from compiler.cost import cost
from compiler.ir.expression import Value
from compiler.ir.graph import Limit
from compiler.pricing import inference_plan
from runtime.benchmark import read_benchmark
from runtime.files import FileProblem, read_json
from runtime.stages import ARCHITECTURE, BENCH, MODEL, NETWORK, REPORT, SOURCE, WEIGHTS, Run

Payload = dict[str, Any]


def _profile(run: Run) -> Payload:
    table = run.table(run.table_file)
    model = {
        "constant_ms": table.model.constant_ms,
        "per_call_ms": table.model.per_call_ms,
        "error": table.model.error,
    }
    return {
        "table": str(run.folder / run.table_file),
        "target": run.experiment.target.name,
        "kernels": len(table.entries),
        "tuned": sum(entry.tuned for entry in table.entries.values()),
        "model": model,
        "noisy": table.noise.noisy,
    }


def _search(run: Run) -> Payload:
    found: Payload = {"architecture": str(run.folder / ARCHITECTURE)}
    try:
        result = read_json(run.folder / "search/result.json", "onepath.search/1")
    except FileProblem:
        return found
    names = ("latency_ms", "cap_ms", "feasible", "minimum_ms", "accuracy_validation", "steps")
    return {**found, **{name: result[name] for name in names if result.get(name) is not None}}


def _derive(run: Run) -> Payload:
    size = cost(run.network())
    return {
        "network": str(run.folder / NETWORK),
        "source": str(run.folder / SOURCE),
        "params": size.params,
        "macs": size.macs,
        "peak_memory_bytes": size.peak_memory_bytes,
        "latency_predicted_ms": _predicted(run),
    }


def _predicted(run: Run) -> float:
    plan = inference_plan(run.network())
    signatures = [call.kernel.signature for call in plan.calls]
    return run.table(run.table_file).predict(signatures).latency_ms


def _train(run: Run) -> Payload:
    result = read_json(run.folder / "train/result.json", "onepath.train/1")
    return {
        "weights": str(run.folder / WEIGHTS),
        "accuracy_test": result["test"]["accuracy"],
        "steps": result["steps"],
    }


def _export(run: Run) -> Payload:
    return {"onnx": str(run.folder / MODEL), "bytes": (run.folder / MODEL).stat().st_size}


def _tune(run: Run) -> Payload:
    plan, _ = run.compiled()
    signatures = [call.kernel.signature for call in plan.calls]
    before, after = (run.table(name).predict(signatures) for name in (run.table_file, run.tuning_file))
    return {
        "table": str(run.folder / run.tuning_file),
        "kernels": len(set(signatures)),
        "latency_predicted_before_ms": before.latency_ms,
        "latency_predicted_ms": after.latency_ms,
        "latency_error_ms": after.error_ms,
    }


def _build(run: Run) -> Payload:
    from runtime.bundle import verify

    bundle = verify(run.folder / "bundle")
    return {
        "bundle": str(bundle.folder),
        "bytes": bundle.size_bytes,
        "target": bundle.manifest.target.name,
        "max_relative_error": bundle.manifest.numerical_check["max_relative_error"],
    }


def _bench(run: Run) -> Payload:
    found = read_benchmark(run.folder / BENCH)
    peers = {name: peer.latency_p50_ms for name, peer in found.peers.items()}
    return {
        "bench": str(run.folder / BENCH),
        "accuracy_test": found.accuracy_test,
        "latency_p50_ms": found.latency_p50_ms,
        "latency_predicted_ms": found.latency_predicted_ms,
        "untuned_tvm_latency_p50_ms": found.untuned_tvm_latency_p50_ms,
        **{f"{name}_latency_p50_ms": value for name, value in peers.items()},
        "noisy": bool(found.noise.get("noisy")),
        "stages_s": dict(found.stages_s),
    }


def _report(run: Run) -> Payload:
    return {"report": str((run.folder / REPORT).absolute()), **_bench(run)}


_ANSWERS: Mapping[str, Callable[[Run], Payload]] = {
    "profile": _profile,
    "search": _search,
    "derive": _derive,
    "train": _train,
    "export": _export,
    "tune": _tune,
    "build": _build,
    "bench": _bench,
    "report": _report,
}


def answer(run: Run, stage: str) -> Payload:
    """What a finished stage answers."""
    return _ANSWERS[stage](run)


_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {"<=": operator.le, ">=": operator.ge}


def broken_limits(run: Run) -> list[str]:
    """Each limit that the network breaks, in words: the search's cap and the space's `require`s."""
    broken = []
    result = _search(run)
    if result.get("feasible") is False:
        found = f"the network found takes {result['latency_ms']:.4g} ms by the latency table"
        way_out = f"search longer, or raise the cap (the space's fastest takes {result['minimum_ms']:.4g} ms)"
        broken.append(f"the cap of {result['cap_ms']:g} ms is not held: {found}; {way_out}")
    for limit in run.experiment.space.limits:
        value = _metric(run, limit)
        if value is not None and not _COMPARE[limit.comparison](value, _number(limit.bound)):
            where = f" on {limit.target}" if limit.target else ""
            wanted = f"require {limit.metric} {limit.comparison} {_number(limit.bound):g}{where}"
            broken.append(f"`{wanted}` is not held: it is {value:,.6g}")
    return broken


def _number(value: Value) -> float:
    return float(value)  # type: ignore[arg-type]


def _metric(run: Run, limit: Limit) -> float | None:
    """What the network found has of a metric; None where another target would have to be measured."""
    from compiler.derive import derive

    network = derive(run.experiment.flat, run.architecture().choices)
    if limit.metric == "latency":
        if limit.target not in (None, run.experiment.target.name):
            return None
        signatures = [call.kernel.signature for call in inference_plan(network).calls]
        return run.table(run.table_file).predict(signatures).latency_ms
    size = cost(network)
    return float(
        {"macs": size.macs, "params": size.params, "peak_memory": size.peak_memory_bytes}[limit.metric]
    )
