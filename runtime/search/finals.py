"""Finals: some networks are trained for a short time, each from new weights, and the best of them is the result.

Weights that are shared tell the networks of a space apart badly (Yu et al., "Evaluating the search phase of neural
architecture search", ICLR 2020): a candidate is used to whatever paths led to it and away from it. What few epochs by
themselves make of networks says more of what many will (docs/decisions/0014).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from compiler.derive import derive
from compiler.nets.architecture_parameters import ArchitectureParameters
from compiler.nets.network import build_network
from compiler.nets.streams import stream
from compiler.path_costs import Picks
from compiler.path_decisions import choices_of
from runtime.checkpoint import State, under
from runtime.events import EventLog
from runtime.search.evaluators.supernet import Diverged, PathTrainer
from runtime.search.options import SearchProblem
from runtime.search.problem import Problem

TRIES = 50
"""Draws of a finalist until it is a new one: a small space has fewer networks than are asked for."""
LOOKED_THROUGH = 4096
"""A space of more networks is not looked through for how many hold the caps."""


class Finals:
    """`steps` steps of each finalist, in the place of its path in the supernet; all of them see the same images, from
    batch `begin` on, the number of the steps before.

    `scores` are accuracies on the validation split, None of a finalist whose loss became infinite. Behind the last
    finalist the supernet has the winner's weights along its path.
    """

    def __init__(self, problem: Problem, trainer: PathTrainer, steps: int, begin: int) -> None:
        self.problem, self.trainer, self.steps, self.begin = problem, trainer, steps, begin
        self.finalists: list[Picks] = []
        self.scores: list[float | None] = []
        self.shared: dict[str, Tensor] = {}
        self.best: dict[str, Tensor] = {}

    def step(self, number: int, log: EventLog) -> None:
        """Step `number` of all. Nothing is done in those that are left of a finalist that was given up, and where
        there were fewer networks than asked for.

        Raises:
            SearchProblem: the loss of every finalist became infinite.
        """
        place, done = divmod(number, self.steps)
        if place != len(self.scores) or place >= len(self.finalists):
            return
        picks, trainer = self.finalists[place], self.trainer
        if done == 0:
            self._begin(picks)
        lr = trainer.options.schedule.rate(trainer.options.optimiser.lr, done, self.steps)
        try:
            trainer.weight_step(self.begin + done, picks, lr)
        except Diverged:
            self._end(picks, None, self.begin + number + 1, log)
        else:
            if done + 1 == self.steps:
                found = trainer.judge(picks)
                score = found.accuracy if math.isfinite(found.loss) else None
                self._end(picks, score, self.begin + number + 1, log)

    def _begin(self, picks: Picks) -> None:
        trainer = self.trainer
        network = derive(self.problem.flat, choices_of(self.problem.decisions, picks))
        self.shared = trainer.supernet.network_tensors(picks)
        trainer.supernet.load_path(picks, build_network(network, trainer.options.seed).state_dict())
        trainer.optimiser.forget()
        trainer.sums = [0.0, 0.0, 0.0]

    def _end(self, picks: Picks, score: float | None, step: int, log: EventLog) -> None:
        supernet, before = self.trainer.supernet, self.winner()
        if score is not None and (before is None or score > before[1]):
            self.best = supernet.network_tensors(picks)
        self.scores.append(score)
        supernet.load_path(picks, self.shared)
        self.shared = {}
        winner = self.winner()
        log.append(
            "finalist",
            step=step,
            picks=list(picks),
            loss=None if score is None else self.trainer.means[0],
            accuracy=score,
            costs=self.problem.costs(picks),
            best=None if winner is None else winner[1],
        )
        if len(self.scores) == len(self.finalists):
            self._conclude(winner)

    def _conclude(self, winner: tuple[Picks, float] | None) -> None:
        if winner is None:
            rate = self.trainer.options.optimiser.lr
            raise SearchProblem(
                "the loss of every finalist became infinite", f"lower the learning rate ({rate:g})"
            )
        self.trainer.supernet.load_path(winner[0], self.best)
        self.best = {}

    def winner(self) -> tuple[Picks, float] | None:
        """Of the finalists that were judged the one of the greatest score, the first of several, and its score."""
        judged = [
            (picks, score)
            for picks, score in zip(self.finalists, self.scores, strict=False)
            if score is not None
        ]
        return max(judged, key=lambda each: each[1], default=None)

    def state(self) -> State:
        """The finalists, their scores, the shared weights in whose place one is trained, and the best one's."""
        numbers: dict[str, Any] = {
            "finalists": [list(each) for each in self.finalists],
            "scores": self.scores,
        }
        kept = {"shared": self.shared, "best": self.best}
        tensors = {f"{name}/{key}": tensor for name, own in kept.items() for key, tensor in own.items()}
        return State({f"finals/{key}": tensor for key, tensor in tensors.items()}, numbers)

    def restore(self, state: State) -> None:
        """Go back to a state."""
        self.finalists = [tuple(picks) for picks in state.numbers["finalists"]]
        self.scores = list(state.numbers["scores"])
        self.shared, self.best = (
            {key: tensor.clone() for key, tensor in under(f"finals/{name}/", state.tensors).items()}
            for name in ("shared", "best")
        )


def finalists(
    problem: Problem, alphas: ArchitectureParameters, most_probable: Picks, count: int, name: str, seed: int
) -> list[Picks]:
    """Up to `count` different networks: the most probable one, then by turns one drawn by the probabilities and a
    uniform one.

    All draws hold the caps; `name` is that of their streams, another for each strategy, so that two of them do not try
    the same networks. What a collapsed distribution has left out has its chance by the uniform ones.
    """
    found, region = [most_probable], problem.region

    def by_probability(generator: torch.Generator) -> Picks:
        return region.under(lambda: alphas.draw(generator), generator)

    for place in range(1, count):
        for draw in (by_probability, region.fresh) if place % 2 else (region.fresh,):
            picks = _another(found, draw, f"{name} {place}", seed)
            if picks is not None:
                found.append(picks)
                break
        else:
            break
    return found


def available(problem: Problem, alive: Sequence[Sequence[int]], wanted: int) -> int:
    """How many finalists there can be of those wanted: a small space may have fewer networks under the caps."""
    if math.prod(map(len, alive)) > LOOKED_THROUGH:
        return wanted
    held = (picks for picks in itertools.product(*alive) if not problem.caps.broken(picks))
    return sum(1 for _ in itertools.islice(held, wanted))


def _another(
    found: list[Picks], draw: Callable[[torch.Generator], Picks], name: str, seed: int
) -> Picks | None:
    """A network that was not found yet; none where there seem to be no more."""
    for attempt in range(TRIES):
        picks = draw(stream(seed, name, attempt))
        if picks not in found:
            return picks
    return None
