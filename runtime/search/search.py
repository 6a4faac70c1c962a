"""Search a problem: one function for all strategies and all evaluators."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NoReturn, Protocol

import torch

from compiler.caps import Cap
from compiler.nets.supernet import build_supernet
from compiler.path_costs import PathCosts, Picks
from compiler.path_decisions import choices_of
from dsl.settings import Evolution, Gradient, Random, Reinforce
from runtime.data.dataset import Dataset
from runtime.files import canonical_json
from runtime.loop import Place, Stage, run_stage
from runtime.ranks import ALONE, Ranks
from runtime.search.evaluators.evaluator import Evaluator
from runtime.search.evaluators.supernet import PathTrainer
from runtime.search.options import (
    Found,
    InfeasibleCap,
    SearchOptions,
    SearchProblem,
    SearchProgress,
    SearchResult,
    check_options,
)
from runtime.search.penalty import check_penalty
from runtime.search.problem import Problem
from runtime.search.samplers.evolution import EvolutionSampler
from runtime.search.samplers.random_sampler import RandomSampler
from runtime.search.samplers.reinforce import ReinforceSampler
from runtime.search.samplers.sampler import Region, Sampler
from runtime.search.strategies.front import nondominated
from runtime.search.strategies.gradient import GradientSearch
from runtime.search.strategies.reinforce import ReinforceSearch
from runtime.search.strategies.sampled import SampledSearch
from runtime.train import write_weights

TABLE_LR = 0.1
"""REINFORCE's rate where each network is judged at once, and some hundreds in all: the paper's 1e-3 is for 10^5."""


class Strategy(Stage, Protocol):
    """A stage that ends with a network."""

    def result(self) -> Found:
        """The network that the search ends with; it holds all caps."""

    def front(self, count: int) -> tuple[Found, ...]:
        """Up to so many networks of which none beats another in score and cost."""

    def likeliest(self) -> Picks:
        """The network that it would be without caps."""

    def probabilities(self) -> dict[str, dict[str, float]]:
        """By decision and label."""


def search(
    problem: Problem,
    judge: Dataset | Evaluator,
    options: SearchOptions,
    folder: Path,
    resume: bool = True,
    progress: Callable[[SearchProgress], None] | None = None,
    ranks: Ranks = ALONE,
) -> SearchResult:
    """Search a problem in `folder`, which gets `search.jsonl`, checkpoints and, with a supernet,
    `supernet_path.safetensors`. A data set as judge means a supernet that is trained on it.

    A search that was interrupted goes on; one that is finished gives its result again; one of another space,
    data or settings is begun anew, with a message. Where a data set judges, several processes search together: all
    call this alike, get the same result, and rank 0 writes; with another judge, rank 0 is to search alone.

    Raises:
        InfeasibleCap: no network holds the caps: told before anything else is done.
        SearchProblem: a strategy that the judge cannot serve, no decision, a loss that became infinite, a network
            without a score.
        DataProblem: the images or classes do not fit the space.
        FileProblem: the folder cannot be written.
    """
    if not problem.decisions:
        raise SearchProblem(f"the space `{problem.flat.name}` has no decision to make", "train it directly")
    check_options(options, isinstance(judge, Dataset))
    _check_feasible(problem, judge)
    strategy, evaluator = _strategy(problem, judge, options, progress, ranks)
    identity = _fingerprint(problem, evaluator, options)
    place = Place(folder, "search", identity, resume, options.save_every_s, ranks=ranks)
    plan = run_stage(strategy, place)
    return _finished(problem, strategy, evaluator, options, place, plan["steps"])


def _check_feasible(problem: Problem, judge: Dataset | Evaluator) -> None:
    known = None if isinstance(judge, Dataset) else judge.known()
    if known is None:
        problem.check_feasible()
        return
    broken = [set(problem.caps.broken(picks)) for picks in known]
    if all(broken):
        _refuse(problem, list(known), broken)


def _refuse(problem: Problem, networks: Sequence[Picks], broken: Sequence[set[Cap]]) -> NoReturn:
    """Say which cap none of the networks holds, by itself or among those that hold the others."""
    caps = problem.caps.caps
    for cap in caps:
        if all(cap in each for each in broken):
            raise InfeasibleCap(cap, _nearest(cap, networks), others=False)
    for cap in caps:
        among = [picks for picks, each in zip(networks, broken, strict=True) if each == {cap}]
        if among:
            raise InfeasibleCap(cap, _nearest(cap, among), others=True)
    raise InfeasibleCap(caps[0], None, others=True)


def _nearest(cap: Cap, networks: Sequence[Picks]) -> float:
    values = [cap.metric.total(picks) for picks in networks]
    return min(values) if cap.relation == "<=" else max(values)


def _strategy(
    problem: Problem,
    judge: Dataset | Evaluator,
    options: SearchOptions,
    progress: Callable[[SearchProgress], None] | None,
    ranks: Ranks,
) -> tuple[Any, Evaluator]:
    chosen = options.strategy
    if isinstance(judge, Dataset):
        judge.check_fits(problem.flat.graph.inputs[0].type.sizes, problem.flat.graph.type.sizes)
        supernet = build_supernet(problem.flat, options.seed, options.superkernels)
        trainer = PathTrainer(supernet, judge, options, progress, ranks)
        if isinstance(chosen, Gradient | Reinforce):
            check_penalty(problem, options.penalty)
            kind: Any = GradientSearch if isinstance(chosen, Gradient) else ReinforceSearch
            return kind(problem, trainer, chosen), trainer
        evaluator: Evaluator = trainer
    else:
        evaluator = judge
    sampler, wanted = _sampler(problem, evaluator, options)
    return SampledSearch(problem, evaluator, options, sampler, wanted, progress), evaluator


def _sampler(problem: Problem, evaluator: Evaluator, options: SearchOptions) -> tuple[Sampler, int]:
    region, chosen, seed = _region(problem, evaluator), options.strategy, options.seed
    if isinstance(chosen, Evolution):
        sampler = EvolutionSampler(region, seed, chosen.population, chosen.mutation)
        return sampler, chosen.population * chosen.generations
    if isinstance(chosen, Reinforce):
        return ReinforceSampler(
            region, seed, chosen.samples, chosen.lr or TABLE_LR, chosen.entropy
        ), chosen.networks
    assert isinstance(chosen, Random)
    return RandomSampler(region, seed), chosen.samples


def _region(problem: Problem, evaluator: Evaluator) -> Region:
    """Where networks hold the caps and can be judged."""
    known = evaluator.known()
    if known is None:
        return problem.region
    there = set(known)
    held = [picks for picks in known if not problem.caps.broken(picks)]

    def excess(picks: Picks) -> float:
        return problem.caps.excess(picks) if picks in there else float("inf")

    def any_held(generator: torch.Generator) -> Picks:
        return held[int(torch.randint(len(held), (), generator=generator))]

    return Region(problem.candidates, excess, any_held, listed=True)


def _fingerprint(problem: Problem, evaluator: Evaluator, options: SearchOptions) -> str:
    decisions = [asdict(decision) for decision in problem.decisions]
    settings = [type(options.strategy).__name__, type(options.penalty).__name__]
    numbers = asdict(replace(options, save_every_s=0))
    costs = {name: asdict(each) for name, each in problem.metrics.items() if isinstance(each, PathCosts)}
    caps = [f"{cap} {cap.limit!r}" for cap in problem.caps.caps]
    identity = [settings, numbers, decisions, costs, caps, evaluator.digest]
    return hashlib.sha256(canonical_json(identity)).hexdigest()


def _finished(
    problem: Problem,
    strategy: Strategy,
    evaluator: Evaluator,
    options: SearchOptions,
    place: Place,
    steps: int,
) -> SearchResult:
    best = strategy.result()
    trainer = evaluator if isinstance(evaluator, PathTrainer) else None
    validation = None if trainer is None else trainer.judge(best.picks)
    if validation is not None and not math.isfinite(validation.loss):
        what = f"the loss of the network found is {validation.loss} on validation images"
        raise SearchProblem(what, f"lower the learning rate ({options.optimiser.lr:g})")
    front = strategy.front(options.front) if options.front else ()
    if front:
        front = nondominated([*front, best], problem.objective)
    probabilities = strategy.probabilities()
    result = SearchResult(
        choices=choices_of(problem.decisions, best.picks),
        best=best,
        caps=problem.caps.caps,
        probabilities=probabilities,
        expected=problem.expected([list(row.values()) for row in probabilities.values()]),
        argmax=problem.costs(strategy.likeliest()),
        front=front,
        validation=validation,
        steps=steps,
        parameters=None if trainer is None else _weights(trainer, best.picks, place.folder),
        log=place.log,
    )
    _log_result(result, place)
    return result


def _weights(trainer: PathTrainer, picks: Picks, folder: Path) -> Path:
    path = folder / "supernet_path.safetensors"
    if trainer.ranks.first:
        write_weights(path, trainer.supernet.network_tensors(picks))
    return path


def _log_result(result: SearchResult, place: Place) -> None:
    score = result.validation
    with place.open_log() as log:
        if result.front:
            log.append("front", networks=[_plain(each) for each in result.front])
        log.append(
            "result",
            **_plain(result.best),
            expected=dict(result.expected),
            argmax=dict(result.argmax),
            caps={_key(cap): cap.limit for cap in result.caps},
            accuracy=result.best.score if score is None else score.accuracy,
            loss=None if score is None else score.loss,
        )
        if place.ranks.first:
            log.sync()


def _key(cap: Cap) -> str:
    """The name of a cap in logs: its metric's, and for a floor that it is one."""
    return cap.name if cap.relation == "<=" else f"{cap.name} at least"


def _plain(found: Found) -> dict[str, Any]:
    return {**asdict(found), "picks": list(found.picks), "costs": dict(found.costs)}
