"""Search by judging single networks: a sampler asks, an evaluator answers.

Where a supernet judges, its weights are trained on random paths first, all alike (Guo et al., "Single path
one-shot", ECCV 2020), and each network has its batch-norm statistics recalibrated before it is judged.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from compiler.nets.streams import stream
from compiler.path_costs import Picks
from runtime.checkpoint import State
from runtime.events import EventLog
from runtime.loop import seconds_a_step
from runtime.search.evaluators.evaluator import Evaluator
from runtime.search.evaluators.supernet import PathTrainer
from runtime.search.options import Found, Phase, SearchOptions, SearchProgress
from runtime.search.plan import CALIBRATION_SHARE, FINISH_SHARE
from runtime.search.problem import Problem
from runtime.search.samplers.sampler import Judged, Sampler
from runtime.search.strategies.front import nondominated, thinned

REPEATS = 50
"""How many known networks a sampler may ask for before one that is new: it has nearly settled then."""


class SampledSearch:
    """The stage: weight steps on random paths where the evaluator is a supernet, then one network a step."""

    def __init__(
        self,
        problem: Problem,
        evaluator: Evaluator,
        options: SearchOptions,
        sampler: Sampler,
        wanted: int,
        progress: Callable[[SearchProgress], None] | None = None,
    ) -> None:
        self.problem, self.evaluator, self.options = problem, evaluator, options
        self.sampler, self.wanted, self.progress = sampler, wanted, progress
        self.trainer = evaluator if isinstance(evaluator, PathTrainer) else None
        self.judged: dict[Picks, float] = {}
        self.best: Found | None = None
        self.weight_steps = self.steps = 0

    # The stage

    def plan(self) -> dict[str, Any]:
        """Half of a budget's time at most goes into evaluations."""
        options, trainer = self.options, self.trainer
        if trainer is None:
            return {"steps": self.wanted, "weight_steps": 0}
        steps = max(1, round((options.warmup + options.epochs) * trainer.batches.an_epoch))
        if options.budget_s is None:
            return {"steps": steps + self.wanted, "weight_steps": steps}
        before, limit = trainer.copied(), options.budget_s * CALIBRATION_SHARE / 2
        weight_s = seconds_a_step(
            lambda i: trainer.weight_step(i, self._random_path(i), 1e-4), limit, ranks=trainer.ranks
        )
        judge_s = seconds_a_step(lambda i: trainer.judge(self._random_path(i)), limit, 1, trainer.ranks)
        trainer.restore(before)
        available = options.budget_s * (1 - CALIBRATION_SHARE - FINISH_SHARE)
        wanted = max(1, min(self.wanted, int(available / 2 / judge_s)))
        steps = max(1, min(steps, int((available - wanted * judge_s) / weight_s)))
        measured = {"weight_step_s": weight_s, "evaluation_s": judge_s}
        return {"steps": steps + wanted, "weight_steps": steps, **measured}

    def follow(self, plan: dict[str, Any]) -> None:
        """Take over the plan."""
        self.steps, self.weight_steps = plan["steps"], plan["weight_steps"]

    def step(self, index: int, log: EventLog) -> None:
        """A weight step, or the evaluation of one more network."""
        if self.trainer is not None and index < self.weight_steps:
            self._weight_step(self.trainer, index, log)
        else:
            self._evaluate(index, log)

    def _weight_step(self, trainer: PathTrainer, index: int, log: EventLog) -> None:
        lr = self.options.schedule.rate(self.options.optimiser.lr, index, self.weight_steps)
        trainer.weight_step(index, self._random_path(index), lr)
        means = trainer.means
        trainer.log_epoch(log, index, self.weight_steps, "warm-up", lr)
        self._report(index, "warm-up", *means)

    def _random_path(self, index: int) -> Picks:
        return self.problem.random_path(stream(self.options.seed, "warm-up path", index))

    def _evaluate(self, index: int, log: EventLog) -> None:
        """Judge one more network, or, where the sampler asks for known ones alone, the last of these again."""
        for _ in range(REPEATS):
            picks = self.sampler.ask()
            anew = picks not in self.judged
            judged = self._judge(picks)
            self.sampler.tell(judged)
            if anew:
                best = None if self.best is None else self.best.score
                costs = self.problem.costs(picks)
                log.append(
                    "evaluation",
                    step=index + 1,
                    picks=list(picks),
                    accuracy=judged.score,
                    costs=costs,
                    feasible=judged.excess <= 0,
                    best=best,
                )
            if anew or not self.sampler.repeats:
                break
        self._report(index, "evaluation", 0.0, 0.0 if self.best is None else self.best.score)

    def _judge(self, picks: Picks) -> Judged:
        if picks not in self.judged:
            self.judged[picks] = self.evaluator.score_of(picks)
            self._keep_best(picks)
        costs = self.problem.costs(picks)
        objectives = tuple(costs[name] for name in self._objectives())
        return Judged(picks, self.judged[picks], objectives, self.problem.caps.excess(picks))

    def _keep_best(self, picks: Picks) -> None:
        if not self.problem.caps.broken(picks) and (
            self.best is None or self.judged[picks] > self.best.score
        ):
            self.best = Found(picks, self.judged[picks], self.problem.costs(picks), True)

    def _objectives(self) -> list[str]:
        """What networks are compared in besides their score: nothing where no front is wanted, so that all effort
        goes into the score under the caps; else every metric with a cap from above."""
        if not self.options.front:
            return []
        capped = [cap.name for cap in self.problem.caps.caps if cap.relation == "<="]
        return list(dict.fromkeys(capped)) or [self.problem.objective]

    def _report(self, index: int, phase: Phase, loss: float, accuracy: float) -> None:
        if self.progress is not None:
            costs = {} if self.best is None else self.best.costs
            self.progress(SearchProgress(index + 1, self.steps, phase, loss, accuracy, costs, 1.0))

    # The result

    def _found(self) -> list[Found]:
        return [
            Found(picks, score, self.problem.costs(picks), not self.problem.caps.broken(picks))
            for picks, score in self.judged.items()
        ]

    def result(self) -> Found:
        """The best network judged that holds all caps, of equals the first."""
        assert self.best is not None, "samplers begin with a network that holds the caps"
        return self.best

    def front(self, count: int) -> tuple[Found, ...]:
        """Of all networks judged those that none beats in score and cost."""
        return thinned(nondominated(self._found(), self.problem.objective), count)

    def probabilities(self) -> dict[str, dict[str, float]]:
        """What the sampler would draw next, by decision and label."""
        return {
            each.name: dict(zip(each.labels, row, strict=True))
            for each, row in zip(self.problem.decisions, self.sampler.probabilities(), strict=True)
        }

    def likeliest(self) -> Picks:
        """The best score, whatever its costs."""
        return max(self.judged, key=self.judged.__getitem__)

    # What is saved

    def state(self) -> State:
        """The trainer's state, the sampler's, and all scores."""
        shared = State({}, {}) if self.trainer is None else self.trainer.state()
        own = {
            "sampler": dict(self.sampler.state()),
            "judged": [[list(picks), score] for picks, score in self.judged.items()],
        }
        return State(shared.tensors, {**shared.numbers, **own})

    def restore(self, state: State) -> None:
        """Go back to a state."""
        if self.trainer is not None:
            self.trainer.restore(state)
        self.sampler.restore(state.numbers["sampler"])
        self.judged, self.best = {}, None
        for picks, score in state.numbers["judged"]:
            self.judged[tuple(picks)] = score
            self._keep_best(tuple(picks))
