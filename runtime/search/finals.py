"""Finals: the likeliest networks are trained for a short time, each from new weights, and the best is the result.

Weights that are shared tell the networks of a space apart badly (Yu et al., "Evaluating the search phase of neural
architecture search", ICLR 2020): a candidate is used to whatever paths led to it and away from it. What few epochs by
themselves make of networks says more of what many will (docs/decisions/0014).
"""

from __future__ import annotations

from collections.abc import Callable
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
from runtime.search.evaluators.supernet import PathTrainer
from runtime.search.problem import Problem

TRIES = 50
"""Draws of a finalist until it is a new one: a small space has fewer networks than are asked for."""


class Finals:
    """`steps` steps of each finalist, in the place of its path in the supernet; all of them see the same images, from
    batch `begin` on, the number of the steps before."""

    def __init__(self, problem: Problem, trainer: PathTrainer, steps: int, begin: int) -> None:
        self.problem, self.trainer, self.steps, self.begin = problem, trainer, steps, begin
        self.finalists: list[Picks] = []
        self.scores: list[float] = []
        self.shared: dict[str, Tensor] = {}

    def step(self, number: int, log: EventLog) -> None:
        """Step `number` of all; where there were fewer networks than asked for, the last steps do nothing."""
        place, done = divmod(number, self.steps)
        if place >= len(self.finalists):
            return
        picks, trainer = self.finalists[place], self.trainer
        if done == 0:
            self.shared = trainer.supernet.network_tensors(picks)
            trainer.supernet.load_path(picks, self._new(picks))
            trainer.optimiser.forget()
            trainer.sums = [0.0, 0.0, 0.0]
        lr = trainer.options.schedule.rate(trainer.options.optimiser.lr, done, self.steps)
        trainer.weight_step(self.begin + done, picks, lr)
        if done + 1 == self.steps:
            self._judge(picks, self.begin + number + 1, log)

    def _new(self, picks: Picks) -> dict[str, Tensor]:
        network = derive(self.problem.flat, choices_of(self.problem.decisions, picks))
        return build_network(network, self.trainer.options.seed).state_dict()

    def _judge(self, picks: Picks, step: int, log: EventLog) -> None:
        loss, _ = self.trainer.means
        self.scores.append(self.trainer.judge(picks).accuracy)
        self.trainer.supernet.load_path(picks, self.shared)
        self.shared = {}
        log.append(
            "finalist",
            step=step,
            picks=list(picks),
            loss=loss,
            accuracy=self.scores[-1],
            costs=self.problem.costs(picks),
            best=max(self.scores),
        )

    def winner(self) -> tuple[Picks, float]:
        """The finalist of the greatest score, the first of several, and its score."""
        score = max(self.scores)
        return self.finalists[self.scores.index(score)], score

    def state(self) -> State:
        """The finalists, their scores, and the shared weights in whose place one is trained."""
        numbers: dict[str, Any] = {
            "finalists": [list(each) for each in self.finalists],
            "scores": self.scores,
        }
        return State({f"finals/{key}": tensor for key, tensor in self.shared.items()}, numbers)

    def restore(self, state: State) -> None:
        """Go back to a state."""
        self.finalists = [tuple(picks) for picks in state.numbers["finalists"]]
        self.scores = list(state.numbers["scores"])
        self.shared = {key: tensor.clone() for key, tensor in under("finals/", state.tensors).items()}


def finalists(
    problem: Problem, alphas: ArchitectureParameters, most_probable: Picks, count: int, name: str, seed: int
) -> list[Picks]:
    """Up to `count` different networks: the most probable one, draws by the probabilities and as many uniform ones.

    All draws hold the caps; `name` is that of their streams. What a collapsed distribution has left out has its chance
    by the uniform ones.
    """
    found, region = [most_probable], problem.region

    def by_probability(generator: torch.Generator) -> Picks:
        return region.under(lambda: alphas.draw(generator), generator)

    for place in range(1, count):
        for draw in (by_probability, region.fresh) if place % 2 else (region.fresh,):
            picks = _another(problem, found, draw, f"{name} {place}", seed)
            if picks is not None:
                found.append(picks)
                break
    return found


def _another(
    problem: Problem, found: list[Picks], draw: Callable[[torch.Generator], Picks], name: str, seed: int
) -> Picks | None:
    """A network under the caps that was not found yet; none where there seem to be no more."""
    for attempt in range(TRIES):
        picks = draw(stream(seed, name, attempt))
        if picks not in found and not problem.caps.broken(picks):
            return picks
    return None
