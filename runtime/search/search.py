"""Search a flattened space: one function for all strategies."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Protocol

from compiler.expected import LatencyCosts, most_probable_under
from compiler.ir.graph import SpaceGraph
from compiler.nets.supernet import Supernet, build_supernet
from runtime.data.dataset import Dataset
from runtime.events import EventLog
from runtime.files import canonical_json
from runtime.loop import Place, Stage, run_stage
from runtime.search.gradient import UPDATES, GradientSearch
from runtime.search.options import SearchOptions, SearchProblem, SearchProgress, SearchResult
from runtime.search.paths import Latency, PathTrainer
from runtime.search.random_sampling import RandomSearch
from runtime.train import write_weights


class Strategy(Stage, Protocol):
    """A stage that ends with a score for every candidate: the network returned has the greatest sum of them."""

    def scores(self) -> list[list[float]]:
        """By decision and candidate."""

    def probabilities(self) -> dict[str, dict[str, float]]:
        """By decision and label."""


STRATEGIES: Mapping[str, Callable[[PathTrainer, Latency], Strategy]] = {
    "gradient": GradientSearch,
    "random": RandomSearch,
}
"""Every strategy, by its name in the language."""


def search(
    flat: SpaceGraph,
    costs: LatencyCosts | None,
    data: Dataset,
    options: SearchOptions,
    folder: Path,
    resume: bool = True,
    progress: Callable[[SearchProgress], None] | None = None,
) -> SearchResult:
    """Search `flat` in `folder`, which gets `search.jsonl`, checkpoints and `supernet_path.safetensors`.

    A search that was interrupted goes on; one that is finished gives its result again; one of another space,
    data or settings is begun anew, with a message. Without `costs` every latency counts as 0, and there can be
    no cap.

    Raises:
        InfeasibleCap: no network is under the cap: told before anything else is done.
        SearchProblem: a strategy or form that is not there, no decision, or a loss that became infinite.
        DataProblem: the images or classes do not fit the space.
        FileProblem: the folder cannot be written.
    """
    _check(options)
    data.check_fits(flat.graph.inputs[0].type.sizes, flat.graph.type.sizes)
    supernet = build_supernet(flat, options.seed)
    if not supernet.decisions:
        raise SearchProblem(f"the space `{flat.name}` has no decision to make", "train it directly")
    latency = Latency.of(supernet, costs, options.cap_ms)
    trainer = PathTrainer(supernet, data, options, progress)
    strategy = STRATEGIES[options.strategy](trainer, latency)
    identity = _fingerprint(supernet, latency, data, options)
    place = Place(folder, "search", identity, resume, options.save_every_s)
    plan = run_stage(strategy, place)
    return _finished(strategy, trainer, latency, place, plan["steps"])


def _check(options: SearchOptions) -> None:
    if options.strategy not in STRATEGIES:
        what = f"the strategy `{options.strategy}` is not there yet"
        raise SearchProblem(what, f"use one of {', '.join(STRATEGIES)}")
    if options.update not in UPDATES:
        what = f"the update `{options.update}` is not there"
        raise SearchProblem(what, f"use one of {', '.join(UPDATES)}")


def _fingerprint(supernet: Supernet, latency: Latency, data: Dataset, options: SearchOptions) -> str:
    shapes = {name: list(tensor.shape) for name, tensor in supernet.state_dict().items()}
    decisions = [asdict(decision) for decision in supernet.decisions]
    settings = asdict(replace(options, save_every_s=0))
    identity = [settings, decisions, shapes, asdict(latency), data.digest]
    return hashlib.sha256(canonical_json(identity)).hexdigest()


def choose(scores: Sequence[Sequence[float]], latency: Latency) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The greatest score of each decision, and the network of the greatest sum under the cap.

    They differ where the first is over the cap.
    """
    argmax = tuple(max(range(len(row)), key=row.__getitem__) for row in scores)
    if latency.cap_ms is None or latency.total_ms(argmax) <= latency.cap_ms:
        return argmax, argmax
    found = most_probable_under(latency.cap_ms, latency.fixed_ms, latency.costs, scores)
    return argmax, argmax if found is None else found


def _finished(
    strategy: Strategy, trainer: PathTrainer, latency: Latency, place: Place, steps: int
) -> SearchResult:
    argmax, picks = choose(strategy.scores(), latency)
    supernet, probabilities = trainer.supernet, strategy.probabilities()
    latency_ms = latency.total_ms(picks)
    validation = trainer.judge(picks, trainer.data.validation)
    parameters = write_weights(place.folder / "supernet_path.safetensors", supernet.network_tensors(picks))
    result = SearchResult(
        choices={
            path: choice
            for decision, pick in zip(supernet.decisions, picks, strict=True)
            for path, choice in decision.choices[pick]
        },
        picks=picks,
        probabilities=probabilities,
        latency_ms=latency_ms,
        expected_ms=_expected_ms(latency, probabilities),
        argmax_ms=latency.total_ms(argmax),
        minimum_ms=latency.minimum_ms,
        cap_ms=latency.cap_ms,
        feasible=latency.cap_ms is None or latency_ms <= latency.cap_ms,
        validation=validation,
        steps=steps,
        parameters=parameters,
        log=place.log,
    )
    _log_result(result, place)
    return result


def _expected_ms(latency: Latency, probabilities: Mapping[str, Mapping[str, float]]) -> float:
    rows = [list(shares.values()) for shares in probabilities.values()]
    return latency.fixed_ms + sum(
        share * cost
        for shares, row in zip(rows, latency.costs, strict=True)
        for share, cost in zip(shares, row, strict=True)
    )


def _log_result(result: SearchResult, place: Place) -> None:
    with EventLog(place.log) as log:
        log.append(
            "result",
            picks=list(result.picks),
            latency_ms=result.latency_ms,
            expected_ms=result.expected_ms,
            argmax_ms=result.argmax_ms,
            cap_ms=result.cap_ms,
            feasible=result.feasible,
            accuracy=result.validation.accuracy,
            loss=result.validation.loss,
        )
        log.sync()
