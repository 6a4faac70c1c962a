"""What strategies with binary gates share: weight steps along drawn paths, and architecture steps between them.

ProxylessNAS (Cai, Zhu, Han, ICLR 2019), section 3: weights are trained along paths, random ones in a warm-up, then
drawn by the architecture parameters. After every few of their steps comes an architecture step on the validation
split, with weights and batch-norm statistics left alone.
"""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from compiler.nets.architecture_parameters import ArchitectureParameters, expectation
from compiler.nets.streams import stream
from compiler.nets.supernet import Paths
from compiler.path_costs import Picks
from runtime.checkpoint import State
from runtime.events import EventLog
from runtime.loop import seconds_a_step
from runtime.search.adam import Adam
from runtime.search.evaluators.supernet import PathTrainer
from runtime.search.finals import Finals, available, finalists
from runtime.search.options import Found, Phase, SearchProgress
from runtime.search.penalty import CostTerm
from runtime.search.plan import CALIBRATION_SHARE, GateSettings, Measured, Plan, make_plan
from runtime.search.problem import Problem
from runtime.search.pruning import to_drop
from runtime.search.strategies.front import along_the_front

SNAPSHOTS = 100
"""How many times in a search the probabilities of all decisions are written to the log."""
RIVALS = 5
"""Random networks that the one found is compared with."""
ENTROPY_SHARE = 0.5
"""The share of the architecture steps over which the bonus for undecided gates falls to 0."""


class GatedSearch(ABC):
    """The stage of a strategy with binary gates: a `PathTrainer`, alpha with its second moments, and what costs add."""

    def __init__(self, problem: Problem, trainer: PathTrainer, settings: GateSettings) -> None:
        self.problem, self.trainer, self.settings = problem, trainer, settings
        self.options = trainer.options
        self.alphas = ArchitectureParameters(problem.candidates, self.options.seed)
        self.adam = Adam(self.alphas.alpha)
        self.schedule: Plan
        self.costs: CostTerm
        self.finals: Finals
        for decision, pick in self._impossible():
            self._drop(decision, pick)

    def _impossible(self) -> list[tuple[int, int]]:
        """Candidates with which no network holds the caps: these need no search."""
        alive = self.alphas.alive
        return [
            (at, pick)
            for at, row in enumerate(alive)
            for pick in row
            if not self.problem.caps.feasible([*alive[:at], [pick], *alive[at + 1 :]])
        ]

    # The stage

    def plan(self) -> dict[str, Any]:
        """Without a budget, from the epochs; with one, from measured steps, whose traces are undone.

        Raises:
            SearchProblem: the budget does not suffice for the finals.
        """
        budget_s, finals = self.options.budget_s, self.options.finals
        measured = None if budget_s is None else self._measured(budget_s * CALIBRATION_SHARE)
        finalists = available(self.problem, self.alphas.alive, finals.networks) if finals else 0
        an_epoch = self.trainer.batches.an_epoch
        plan = make_plan(self.options, self.settings, an_epoch, measured, finalists)
        return {**plan.describe(), **(asdict(measured) if measured else {})}

    def _measured(self, limit_s: float) -> Measured:
        trainer, finals = self.trainer, self.options.finals is not None
        before, limit_s = trainer.copied(), limit_s / (3 if finals else 2)

        def weight_step(index: int) -> None:
            trainer.weight_step(index, self._random_path(index), 1e-4)

        measured = Measured(
            seconds_a_step(weight_step, limit_s, ranks=trainer.ranks),
            seconds_a_step(self.try_architecture_step, limit_s, 3, trainer.ranks),
            seconds_a_step(lambda index: trainer.judge(self._random_path(index)), limit_s, 1, trainer.ranks)
            if finals
            else 0.0,
        )
        trainer.restore(before)
        return measured

    def follow(self, plan: dict[str, Any]) -> None:
        """Take over the plan."""
        self.schedule = Plan.read(plan)
        self.costs = CostTerm(self.problem, self.options.penalty, self.schedule.architecture_steps)
        self.finals = Finals(
            self.problem, self.trainer, self.schedule.final_steps, self.schedule.weight_steps
        )

    def step(self, index: int, log: EventLog) -> None:
        """One weight step, and the architecture step that is due after it; behind the last of these, the finals."""
        if index < self.schedule.weight_steps:
            self._search_step(index, log)
        else:
            self._final_step(index, log)

    def _search_step(self, index: int, log: EventLog) -> None:
        plan, options = self.schedule, self.options
        warming = index < plan.warmup
        lr = options.schedule.rate(options.optimiser.lr, index, plan.weight_steps)
        self.trainer.weight_step(index, self._path(index), lr)
        number = plan.architecture_step(index)
        if number is not None:
            found = self.architecture_step(number, 1 - number / max(1, plan.architecture_steps))
            expected = self.expected()
            self.costs.update(expected)
            self._log_architecture(number, index, {**found, "expected": expected}, log)
            self._prune(number, index, log)
        phase: Phase = "warm-up" if warming else "search"
        self._report(index, phase)
        if self.trainer.log_epoch(log, index, plan.weight_steps, phase, lr):
            checksum = zlib.crc32(self.alphas.alpha.detach().numpy().tobytes())
            self.trainer.ranks.check_same("the architecture's probabilities", checksum)

    def _path(self, index: int) -> Paths:
        if index < self.schedule.warmup:
            return self._random_path(index)
        going = (index - self.schedule.warmup) / max(1, self.schedule.weight_steps - self.schedule.warmup)
        explore = self.settings.explore * (1 - going)
        draws = self.alphas.draws(stream(self.options.seed, "path", index), explore)
        return self.problem.path_under_caps(draws)

    def _random_path(self, index: int) -> Paths:
        return self.problem.random_path(stream(self.options.seed, "warm-up path", index), self.alphas.alive)

    def _report(self, index: int, phase: Phase) -> None:
        trainer, plan = self.trainer, self.schedule
        if trainer.progress is not None:
            (loss, accuracy), entropy = trainer.means, self.alphas.entropy()
            trainer.progress(
                SearchProgress(index + 1, plan.steps, phase, loss, accuracy, self.expected(), entropy)
            )

    # The finals

    def _final_step(self, index: int, log: EventLog) -> None:
        number = index - self.schedule.weight_steps
        if number == 0:
            name, seed = f"finalist of {type(self.settings).__name__}", self.options.seed
            self.finals.finalists = finalists(
                self.problem, self.alphas, self._most_probable(), self.schedule.finalists, name, seed
            )
        self.finals.step(number, log)
        self._report(index, "finals")

    # The architecture

    @abstractmethod
    def architecture_step(self, number: int, left: float) -> dict[str, float]:
        """One update of alpha, `left` of the search being left; returns the loss and accuracy that it saw."""

    @abstractmethod
    def try_architecture_step(self, number: int) -> object:
        """What an architecture step costs, without its update."""

    def expected(self) -> dict[str, float]:
        """The expectation of every metric that is a sum."""
        return self.problem.expected([part.detach().tolist() for part in self.alphas.probabilities()])

    def cost_objective(self, weights: Mapping[str, float], compared: Sequence[Sequence[int]]) -> Tensor:
        """What the expectations of metrics add to the objective, taken over the candidates compared."""
        shares = self.alphas.shares(compared)
        total = torch.zeros((), dtype=torch.float64)
        for name, weight in weights.items():
            rows = self.problem.additive[name].rows
            costs = [[row[i] for i in chosen] for row, chosen in zip(rows, compared, strict=True)]
            total = total + weight * expectation(0.0, costs, shares)
        return total

    def entropy_objective(self, left: float) -> Tensor:
        """The bonus for undecided gates, as it is now."""
        return self.settings.entropy * max(0.0, 1 - (1 - left) / ENTROPY_SHARE) * self.alphas.certainty()

    def _prune(self, number: int, index: int, log: EventLog) -> None:
        if self.options.prune is None:
            return
        share = (number + 1) / max(1, self.schedule.architecture_steps)
        while True:
            probabilities = [part.detach().tolist() for part in self.alphas.probabilities()]
            dropped = to_drop(self.options.prune, share, probabilities, self.alphas.alive, self.problem.caps)
            for drop in dropped:
                self._drop(drop.decision, drop.pick)
                decision = self.problem.decisions[drop.decision]
                log.append(
                    "pruned",
                    step=index + 1,
                    decision=decision.name,
                    label=decision.labels[drop.pick],
                    probability=drop.probability,
                    threshold=drop.threshold,
                    left=len(self.alphas.alive[drop.decision]),
                    total_left=sum(map(len, self.alphas.alive)),
                )
            if not dropped or share < 1:
                break

    def _drop(self, decision: int, pick: int) -> None:
        self.alphas.drop(decision, pick)
        self.trainer.drop(decision, pick)

    def _log_architecture(self, number: int, index: int, found: dict[str, Any], log: EventLog) -> None:
        numbers = {"prices": self.costs.prices, "entropy": self.alphas.entropy()}
        log.append("architecture", step=index + 1, number=number, **found, **numbers)
        total = self.schedule.architecture_steps
        if number % max(1, total // SNAPSHOTS) == 0 or number + 1 == total:
            log.append("probabilities", step=index + 1, probabilities=self.probabilities())

    # The result

    def probabilities(self) -> dict[str, dict[str, float]]:
        """The probability of each candidate, by decision and label."""
        parts = [part.detach().tolist() for part in self.alphas.probabilities()]
        return {
            each.name: dict(zip(each.labels, part, strict=True))
            for each, part in zip(self.problem.decisions, parts, strict=True)
        }

    def likeliest(self) -> Picks:
        """The most probable candidate of each decision, whatever its costs."""
        return tuple(max(range(len(row)), key=row.__getitem__) for row in self.alphas.log_probabilities())

    def result(self) -> Found:
        """The best finalist; without finals the most probable network that holds all caps, which on shared weights
        is not worse than random ones."""
        winner = self.finals.winner()
        if winner is not None:
            picks, score = winner
            return Found(picks, score, self.problem.costs(picks), not self.problem.caps.broken(picks))
        found = self._judged(self._most_probable())
        return max([found, *self._rivals(found)], key=lambda each: each.score)

    def _most_probable(self) -> Picks:
        picks = self.problem.caps.best(self.alphas.log_probabilities(), self.alphas.alive)
        return self.likeliest() if picks is None else picks

    def _rivals(self, found: Found) -> list[Found]:
        """The guard against collapse: random networks that are clearly better than the one found.

        Weights were trained for what was likely, so that a random network scores less than it is worth; where one
        is better by two standard errors nevertheless, the distribution has settled on paths that learn nothing
        (Zela et al., "Understanding and robustifying differentiable architecture search", ICLR 2020).
        """
        if self.options.prune is not None:
            return []
        region = self.problem.region
        drawn = {region.fresh(stream(self.options.seed, "rival", number)) for number in range(RIVALS)}
        judged = [self._judged(picks) for picks in sorted(drawn - {found.picks})]
        images = max(1, len(self.trainer.data.validation))
        margin = 2 * (2 * found.score * (1 - found.score) / images) ** 0.5
        return [each for each in judged if each.score > found.score + margin]

    def front(self, count: int) -> tuple[Found, ...]:
        """The most probable networks under caps ever tighter, as far as none is better in score and cost."""
        return along_the_front(
            self.problem, self.alphas.log_probabilities(), self.alphas.alive, count, self._judged
        )

    def _judged(self, picks: Picks) -> Found:
        broken = self.problem.caps.broken(picks)
        return Found(picks, self.trainer.judge(picks).accuracy, self.problem.costs(picks), not broken)

    # What is saved

    def state(self) -> State:
        """The trainer's state, alpha, its moments, what is alive, the prices, and the finals."""
        shared, finals = self.trainer.state(), self.finals.state()
        own = {
            "alpha": self.alphas.alpha.detach(),
            "alpha_squares": self.adam.squares,
            "alpha_counts": self.adam.counts,
        }
        numbers = {"penalty": self.costs.state(), "alive": [list(row) for row in self.alphas.alive]}
        return State(
            {**shared.tensors, **own, **finals.tensors}, {**shared.numbers, **numbers, **finals.numbers}
        )

    def restore(self, state: State) -> None:
        """Go back to a state that had no more paths than there are now."""
        for at, alive in enumerate(state.numbers["alive"]):
            for pick in sorted(set(self.alphas.alive[at]) - set(alive)):
                self._drop(at, pick)
        self.trainer.restore(state)
        with torch.no_grad():
            self.alphas.alpha.copy_(state.tensors["alpha"])
        self.adam.squares = state.tensors["alpha_squares"].clone()
        self.adam.counts = state.tensors["alpha_counts"].clone()
        self.costs.restore(state.numbers["penalty"])
        self.finals.restore(state)
