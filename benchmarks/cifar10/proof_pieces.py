"""The pieces of the proof in their order: what each needs, leaves and tells."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from proof_measure import measured
from proof_run import timed
from proof_setup import (
    BATCH,
    BRIEF_MIN,
    BUILD_MIN,
    MEASURE_MIN,
    NETWORKS,
    PROFILE_MIN,
    RANDOM,
    RANDOM_SEED,
    REINFORCE_SAMPLES,
    SEARCH_BATCH,
    SEARCHED,
    SPACE,
    Setup,
    search_minutes,
    train_minutes,
)

from runtime.bench_turns import Timing
from runtime.files import FileProblem, canonical_json, read_json, sha256_file, write_atomic, write_json

SCHEMA = "onepath.cifar10_piece/1"
PROFILE = "profile"
MEASURE_S = 20.0
"""How long each network is timed, at least."""

Summary = dict[str, Any]


@dataclass(frozen=True)
class Piece:
    """One piece: `asks` is all that its outcome depends on besides the files of earlier pieces that it `reads`,
    `leaves` the files of the run folders that later pieces read."""

    name: str
    minutes: float
    does: Callable[[], Summary]
    asks: tuple[str, ...] = ()
    reads: tuple[Path, ...] = ()
    leaves: tuple[Path, ...] = ()


def pieces(setup: Setup) -> tuple[Piece, ...]:
    """Every piece but the report."""
    return (
        _profile(setup),
        *[_search(setup, name) for name in SEARCHED],
        _draw(setup),
        *[_train(setup, name) for name in NETWORKS],
        _measure(setup),
        _same_hour(setup),
    )


def bring(setup: Setup, piece: Piece) -> bool:
    """Do a piece, if it is not done; whether it was to be done.

    Raises:
        PieceFailed: a command of it failed.
    """
    if is_done(setup, piece):
        return False
    summary = piece.does()
    write_json(_summary_file(setup, piece.name), {"inputs": _inputs(piece), **summary}, SCHEMA)
    return True


def is_done(setup: Setup, piece: Piece) -> bool:
    """Whether a piece was done from the same settings and files, and what it left is there."""
    if not all(path.is_file() for path in (*piece.reads, *piece.leaves)):
        return False
    try:
        return bool(summary_of(setup, piece.name)["inputs"] == _inputs(piece))
    except FileProblem:
        return False


def summary_of(setup: Setup, name: str) -> Summary:
    """What a piece told.

    Raises:
        FileProblem: it is not done.
    """
    return read_json(_summary_file(setup, name), SCHEMA)


def _summary_file(setup: Setup, name: str) -> Path:
    return setup.out / f"pieces/{name}.json"


def _inputs(piece: Piece) -> str:
    files = [sha256_file(path) for path in piece.reads]
    return hashlib.sha256(canonical_json([list(piece.asks), files])).hexdigest()


def _run(setup: Setup, stage: str, network: str, result: str) -> Summary:
    command = setup.command(stage, network)
    account, log = (setup.runs / f"{kind}/{stage}_{network}" for kind in ("spent", "messages"))
    spent = timed(
        command, account.with_suffix(".json"), log.with_suffix(".log"), setup.folder(network) / result
    )
    return {"command": setup.shown(command), **asdict(spent)}


# Profile


def _table_file(setup: Setup, network: str = PROFILE) -> Path:
    return setup.folder(network) / "latency/host.json"


def _profile(setup: Setup) -> Piece:
    asked = setup.shown(setup.command("profile", PROFILE))

    def does() -> Summary:
        from runtime.latency_table import read_table

        told = _run(setup, "profile", PROFILE, "latency/host.json")
        table = read_table(_table_file(setup))
        counted = {"kernels": len(table.entries), "noisy": table.noise.noisy, "error": table.model.error}
        return {"profile": told, **counted}

    return Piece(PROFILE, PROFILE_MIN, does, (asked,), leaves=(_table_file(setup),))


# Search


def _search(setup: Setup, name: str) -> Piece:
    asked = setup.shown(setup.command("search", name))
    result = setup.folder(name) / "search/result.json"
    leaves = (result, setup.architecture(name))
    does = partial(_searched, setup, name)
    return Piece(f"search_{name}", search_minutes(name), does, (asked,), (_table_file(setup),), leaves)


def _searched(setup: Setup, name: str) -> Summary:
    from runtime.events import read_events
    from runtime.search_stage import SCHEMA as SEARCH_SCHEMA

    told, folder = _run(setup, "search", name, "search/result.json"), setup.folder(name)
    write_atomic(setup.architecture(name), (folder / "architecture.json").read_bytes())
    _keep_log(setup, folder / "search/search.jsonl", f"search_{name}")
    result = read_json(folder / "search/result.json", SEARCH_SCHEMA)
    plan = next(event for event in read_events(folder / "search/search.jsonl") if event["event"] == "plan")
    kept = ("costs", "expected", "caps", "cap_ms", "minimum_ms", "feasible", "accuracy_validation")
    return {
        "search": told,
        **{key: result[key] for key in kept},
        **samples(plan, name),
        "plan": {
            key: plan[key]
            for key in (
                "weight_steps",
                "warmup",
                "delay",
                "every",
                "architecture_steps",
                "finalists",
                "final_steps",
            )
        },
    }


def samples(plan: Mapping[str, Any], name: str) -> dict[str, int]:
    """The images that a search saw: those of weight steps, and those of architecture steps, counted once for each
    network that was judged on them."""
    judged = REINFORCE_SAMPLES if name == "reinforce" else 1
    return {
        "images_weights": plan["steps"] * SEARCH_BATCH,
        "images_architecture": plan["architecture_steps"] * SEARCH_BATCH * judged,
    }


def _keep_log(setup: Setup, log: Path, name: str) -> None:
    write_atomic(setup.out / f"logs/{name}.jsonl", log.read_bytes())


# Random networks


def _draw(setup: Setup) -> Piece:
    asked = (setup.shown(setup.command("profile", PROFILE)), f"seed {RANDOM_SEED}")
    leaves = tuple(setup.architecture(name) for name in RANDOM)
    return Piece("draw", 0.2, partial(_drawn, setup), asked, (_table_file(setup),), leaves)


def _drawn(setup: Setup) -> Summary:
    from proof_random import draw

    drawn, caps = draw(SPACE, setup.settings(PROFILE), setup.folder(PROFILE), len(RANDOM), RANDOM_SEED)
    for name, each in zip(RANDOM, drawn, strict=True):
        write_atomic(setup.architecture(name), each.architecture)
    return {"costs": {name: each.costs for name, each in zip(RANDOM, drawn, strict=True)}, "caps": caps}


# Training


def _train(setup: Setup, name: str) -> Piece:
    asked = (setup.shown(setup.command("train", name)),)
    before = (setup.architecture(name),) if name in (*SEARCHED, *RANDOM) else ()
    leaves = (setup.folder(name) / "bundle/manifest.json", setup.folder(name) / "tuning/host.json")
    minutes = train_minutes(name) + BUILD_MIN
    return Piece(f"train_{name}", minutes, partial(_trained, setup, name), asked, before, leaves)


def _trained(setup: Setup, name: str) -> Summary:
    from compiler.cost import cost
    from compiler.ir.graph import Network
    from compiler.ir.text import read

    told = {
        "train": _run(setup, "train", name, "train/result.json"),
        "build": _run(setup, "build", name, "bundle/manifest.json"),
    }
    folder = setup.folder(name)
    _keep_log(setup, folder / "train/train.jsonl", f"train_{name}")
    result = read_json(folder / "train/result.json", "onepath.train/1")
    network = read((folder / "network.graph").read_text(encoding="utf-8"))
    assert isinstance(network, Network)
    counted = asdict(cost(network))
    return {
        **told,
        **counted,
        "steps": result["steps"],
        "images": result["steps"] * BATCH,
        "test": result["test"],
    }


# Measurement


def _measure(setup: Setup) -> Piece:
    folders = {name: setup.folder(name) for name in NETWORKS}
    reads = _flat(
        (folder / "bundle/manifest.json", folder / "tuning/host.json") for folder in folders.values()
    )
    does = partial(measured, folders, setup.data, _timing(setup))
    return Piece("measure", MEASURE_MIN, does, reads=reads)


def _timing(setup: Setup) -> Timing:
    return Timing(seconds=max(0.2, MEASURE_S * setup.scale))


def _same_hour(setup: Setup) -> Piece:
    """Latency tables, bundles and the measurement of all networks within an hour, wherever their weights were trained:
    latencies do not depend on these."""
    brief = replace(setup, runs=setup.runs / "same_hour", briefly=True)
    asked = tuple(brief.shown(brief.command("build", name)) for name in NETWORKS)
    reads = tuple(setup.architecture(name) for name in (*SEARCHED, *RANDOM))
    minutes = PROFILE_MIN + len(NETWORKS) * (BUILD_MIN + BRIEF_MIN) + MEASURE_MIN
    return Piece("same_hour", minutes, partial(_within_an_hour, brief), asked, reads)


def _within_an_hour(brief: Setup) -> Summary:
    began = time.monotonic()
    for name in NETWORKS:
        _run(brief, "build", name, "bundle/manifest.json")
    found = measured({name: brief.folder(name) for name in NETWORKS}, brief.data, _timing(brief))
    latencies = {
        name: {key: value for key, value in row.items() if key.startswith("latency_")}
        for name, row in found["networks"].items()
    }
    return {**found, "networks": latencies, "minutes": round((time.monotonic() - began) / 60, 1)}


def _flat(pairs: Iterable[tuple[Path, Path]]) -> tuple[Path, ...]:
    return tuple(path for pair in pairs for path in pair)
