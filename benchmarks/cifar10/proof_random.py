"""Random networks under the caps of a search: what a search must beat."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proof_run import PieceFailed

from compiler.architecture import completed, to_json, validate
from compiler.path_costs import Picks
from compiler.path_decisions import choices_of
from dsl.reading import read
from runtime.console import Silent
from runtime.experiment import load_experiment
from runtime.run_folder import RunFolder
from runtime.search.problem import Problem
from runtime.search.samplers.random_sampler import RandomSampler
from runtime.search.samplers.sampler import Judged, Region
from runtime.search_stage import problem_of_run
from runtime.stages import Run

TRIES = 10_000
"""Draws, of up to a hundred each, until enough networks hold all caps."""


@dataclass(frozen=True)
class Drawn:
    """A random network: its architecture file's text, and its costs by metric."""

    architecture: str
    costs: dict[str, float]


def draw(
    space: Path, settings: tuple[str, ...], profiled: Path, count: int, seed: int
) -> tuple[list[Drawn], list[str]]:
    """Different networks drawn uniformly among those that hold the caps of the search and the space's own limits,
    by the latency table of the run folder `profiled`; and those caps.

    Raises:
        PieceFailed: too few draws hold them.
    """
    experiment = load_experiment(read(space), overrides=settings)
    problem = problem_of_run(Run(experiment, RunFolder(profiled), Silent()))

    def described(picks: Picks) -> Drawn:
        choices = completed(experiment.space, choices_of(problem.decisions, picks))
        text = json.dumps(to_json(validate(experiment.space, choices)), indent=2) + "\n"
        return Drawn(text, dict[str, Any](problem.costs(picks)))

    drawn = _uniform(problem, count, seed)
    return [described(picks) for picks in drawn], [f"{cap}" for cap in problem.caps.caps]


def _uniform(problem: Problem, count: int, seed: int) -> list[Picks]:
    sampler = RandomSampler(Region(problem.candidates, problem.caps.excess), seed)
    drawn: list[Picks] = []
    while len(drawn) < count:
        if sampler.asked == TRIES:
            raise PieceFailed(f"of {TRIES} draws only {len(drawn)} hold all caps; loosen them with --cap")
        picks = sampler.ask()
        if picks not in sampler.seen and not problem.caps.broken(picks):
            drawn.append(picks)
        sampler.tell(Judged(picks, 0.0))
    return drawn
