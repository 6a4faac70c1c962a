"""What a stage answers, from its files, and whether the network found keeps the limits set for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from fractions import Fraction
from typing import Any

from compiler.cost import cost
from compiler.ir.expression import Value
from compiler.ir.graph import Limit, Network
from compiler.latency import TableProblem
from compiler.limits import UNITS, holds, limit_text
from compiler.passes.chains import counts
from compiler.predict import predict_network
from dsl.settings import CapSetting, TargetSettings
from runtime.benchmark import read_benchmark
from runtime.files import read_json
from runtime.search_stage import ARCHITECTURE, SCHEMA, SEARCH_RESULT, listed_latency_ms
from runtime.stages import (
    BENCH,
    MODEL,
    NETWORK,
    REPORT,
    SOURCE,
    TRAIN_SCHEMA,
    TRAINED,
    WEIGHTS,
    Run,
)

Payload = dict[str, Any]


def _profile(run: Run) -> Payload:
    table = run.table(run.table_file)
    model = {
        "constant_ms": table.model.constant_ms,
        "per_call_ms": table.model.per_call_ms,
        "per_megabyte_ms": table.model.per_megabyte_ms,
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
    if not run.searched:
        return found
    result = read_json(run.folder / SEARCH_RESULT, SCHEMA)
    score = "score" if result["accuracy_validation"] is None else "accuracy_validation"
    names = ("latency_ms", "cap_ms", "feasible", "minimum_ms", score, "steps")
    found |= {name: result[name] for name in names if result.get(name) is not None}
    front = [
        {"score": each["score"], **each["costs"], "architecture": str(run.folder / each["architecture"])}
        for each in result["front"]
    ]
    return {**found, "front": front} if front else found


def _derive(run: Run) -> Payload:
    network = run.network()
    latency_ms = _latency_ms(run, network)
    return {
        "network": str(run.folder / NETWORK),
        "source": str(run.folder / SOURCE),
        **asdict(cost(network)),
        **({} if latency_ms is None else {"latency_predicted_ms": latency_ms}),
    }


def _latency_ms(run: Run, network: Network, target: TargetSettings | None = None) -> float | None:
    """What a target's table predicts, the experiment's or another's; None where there is none for this network."""
    if not (run.folder / run.prices_file(target)).is_file():
        return None
    try:
        return predict_network(run.prices(target), network).latency_ms
    except TableProblem:
        return None


def _train(run: Run) -> Payload:
    result = read_json(run.folder / TRAINED, TRAIN_SCHEMA)
    return {
        "weights": str(run.folder / WEIGHTS),
        "accuracy_test": result["test"]["accuracy"],
        "steps": result["steps"],
    }


def _export(run: Run) -> Payload:
    return {"onnx": str(run.folder / MODEL), "bytes": (run.folder / MODEL).stat().st_size}


def _tune(run: Run) -> Payload:
    plan, _ = run.compiled()
    before, after = (run.table(name).predict_plan(plan) for name in (run.table_file, run.tuning_file))
    return {
        "table": str(run.folder / run.tuning_file),
        **counts(run.table(run.tuning_file).joined(plan)),
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
        **bundle.manifest.checked,
    }


def _bench(run: Run) -> Payload:
    found = read_benchmark(run.folder / BENCH)
    peers = {name: peer.latency_p50_ms for name, peer in found.peers.items()}
    return {
        "bench": str(run.folder / BENCH),
        "accuracy_test": found.accuracy_test,
        "latency_p50_ms": found.latency_p50_ms,
        "latency_predicted_ms": found.latency_predicted_ms,
        "latency_error_ms": found.latency_error_ms,
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


def broken_limits(run: Run) -> list[str]:
    """Each limit that the network breaks, in words: the search's caps and the space's `require`s."""
    from compiler.derive import derive

    network = derive(run.experiment.flat, run.architecture().choices)
    caps = run.experiment.search.caps if run.experiment.search else ()
    limits = [(limit, f"`require {limit_words(limit)}`") for limit in run.experiment.space.limits]
    limits += [(limit_of(cap), f"the cap `{limit_words(limit_of(cap))}`") for cap in caps]
    broken = []
    for limit, words in limits:
        value = _metric(run, network, limit)
        if value is None:
            run.progress.note(f"{words} was not checked: there is no table of that target in this run")
        elif not holds(value, limit.comparison, _number(limit.bound)):
            broken.append(
                f"{words} is not held: it is {value:,.4g} {UNITS.get(limit.metric, '')}".rstrip()
                + _way_out(run, limit)
            )
    return broken


def limit_of(cap: CapSetting) -> Limit:
    """A cap of a search as a limit."""
    return Limit(cap.metric, cap.relation, Fraction(cap.limit), cap.target)


def limit_words(limit: Limit) -> str:
    """A limit as a file writes it."""
    return limit_text(limit.metric, limit.comparison, _number(limit.bound), limit.target)


def _way_out(run: Run, limit: Limit) -> str:
    least = _search(run).get("minimum_ms")
    if limit.metric != "latency" or least is None or limit.target not in (None, run.experiment.target.name):
        return ""
    return f" by the latency table; search longer, or raise it (the space's fastest takes {least:.4g} ms)"


def _number(value: Value) -> float:
    return float(value)  # type: ignore[arg-type]


def _metric(run: Run, network: Network, limit: Limit) -> float | None:
    """What the network has of a metric; None where it would have to be measured first."""
    if limit.metric == "latency":
        known = [each for each in run.targets if limit.target in (None, each.name)]
        if limit.target in (None, run.experiment.target.name):
            listed_ms = listed_latency_ms(run, network.choices)
            if listed_ms is not None:
                return listed_ms
        return _latency_ms(run, network, known[0]) if known else None
    size = cost(network)
    return float(
        {"macs": size.macs, "params": size.params, "peak_memory": size.peak_memory_bytes}[limit.metric]
    )
