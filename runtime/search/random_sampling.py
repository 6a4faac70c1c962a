"""Random search on shared weights: all training on random paths, then the best of many sampled networks.

The baseline that other strategies must beat (Li and Talwalkar, UAI 2019).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from compiler.expected import most_probable_under
from compiler.nets.architecture_parameters import draw_uniform
from compiler.nets.streams import stream
from compiler.nets.supernet import Paths
from runtime.checkpoint import State
from runtime.events import EventLog
from runtime.loop import seconds_a_step
from runtime.search.options import SearchProgress
from runtime.search.paths import Latency, PathTrainer
from runtime.search.plan import CALIBRATION_SHARE, FINISH_SHARE

TRIES = 100
"""Uniform draws until one is under the cap; then a feasible one is made from random scores."""


@dataclass
class RandomSearch:
    """The stage: weight steps on random paths, then one evaluation a step."""

    trainer: PathTrainer
    latency: Latency
    best: list[int] = field(default_factory=list)
    best_accuracy: float = -1.0
    weight_steps: int = 0
    steps: int = 0

    def plan(self) -> dict[str, Any]:
        """Half a budget's time at most goes into evaluations."""
        options, an_epoch = self.trainer.options, self.trainer.batches.an_epoch
        wanted, samples = max(1, round((options.warmup + options.epochs) * an_epoch)), options.samples
        if options.budget_s is None:
            return {"steps": wanted + samples, "weight_steps": wanted}
        before, limit = self.trainer.copied(), options.budget_s * CALIBRATION_SHARE / 2
        weight_s = seconds_a_step(lambda i: self.trainer.weight_step(i, self._random_path(i), 1e-4), limit)
        judge_s = seconds_a_step(self._judge, limit, least=1)
        self.trainer.restore(before)
        available = options.budget_s * (1 - CALIBRATION_SHARE - FINISH_SHARE)
        samples = max(1, min(samples, int(available / 2 / judge_s)))
        steps = max(1, min(wanted, int((available - samples * judge_s) / weight_s)))
        measured = {"weight_step_s": weight_s, "evaluation_s": judge_s}
        return {"steps": steps + samples, "weight_steps": steps, **measured}

    def follow(self, plan: dict[str, Any]) -> None:
        """Take over the plan."""
        self.steps, self.weight_steps = plan["steps"], plan["weight_steps"]

    def step(self, index: int, log: EventLog) -> None:
        """A weight step, or the evaluation of one more network."""
        if index < self.weight_steps:
            options = self.trainer.options
            lr = options.schedule.rate(options.optimiser.lr, index, self.weight_steps)
            self.trainer.weight_step(index, self._random_path(index), lr)
            if (index + 1) % self.trainer.batches.an_epoch == 0 or index + 1 == self.weight_steps:
                loss, accuracy = self.trainer.means
                log.append("epoch", step=index + 1, phase="warm-up", loss=loss, accuracy=accuracy, lr=lr)
                self.trainer.sums = [0.0, 0.0, 0.0]
        else:
            self._evaluate(index, log)
        self._report(index)

    def _evaluate(self, index: int, log: EventLog) -> None:
        picks, accuracy, loss = self._judge(index - self.weight_steps)
        if accuracy > self.best_accuracy:
            self.best, self.best_accuracy = list(picks), accuracy
        latency_ms = self.latency.total_ms(picks)
        found = {"accuracy": accuracy, "loss": loss, "latency_ms": latency_ms, "best": self.best_accuracy}
        log.append("evaluation", step=index + 1, picks=list(picks), **found)

    def _report(self, index: int) -> None:
        loss, accuracy = self.trainer.means
        phase: Any = "warm-up" if index < self.weight_steps else "evaluation"
        if self.trainer.progress is not None:
            expected_ms = self.latency.total_ms(self.best) if self.best else 0.0
            best = self.best_accuracy if self.best else accuracy
            self.trainer.progress(SearchProgress(index + 1, self.steps, phase, loss, best, expected_ms, 1.0))

    def _random_path(self, index: int) -> Paths:
        seed, candidates = self.trainer.options.seed, self.trainer.supernet.candidates
        return draw_uniform(candidates, stream(seed, "warm-up path", index))

    def _judge(self, number: int) -> tuple[Paths, float, float]:
        picks = self.sample(number)
        found = self.trainer.judge(picks, self.trainer.data.validation)
        return picks, found.accuracy, found.loss

    def sample(self, number: int) -> Paths:
        """Sample `number` of those under the cap: uniform, as far as that takes no more than `TRIES` draws."""
        latency, candidates = self.latency, self.trainer.supernet.candidates
        generator = stream(self.trainer.options.seed, "sample", number)
        for _ in range(TRIES):
            picks = draw_uniform(candidates, generator)
            if latency.cap_ms is None or latency.total_ms(picks) <= latency.cap_ms:
                return picks
        scores = [torch.rand(size, dtype=torch.float64, generator=generator).tolist() for size in candidates]
        assert latency.cap_ms is not None
        found = most_probable_under(latency.cap_ms, latency.fixed_ms, latency.costs, scores)
        assert found is not None, "feasibility was checked before"
        return found

    def probabilities(self) -> dict[str, dict[str, float]]:
        """Uniform: nothing is learnt about candidates."""
        decisions = self.trainer.supernet.decisions
        return {each.name: dict.fromkeys(each.labels, 1 / len(each.labels)) for each in decisions}

    def scores(self) -> list[list[float]]:
        """0 for the best network's candidates, less for all others."""
        candidates = self.trainer.supernet.candidates
        return [
            [0.0 if i == pick else -1.0 for i in range(size)]
            for pick, size in zip(self.best, candidates, strict=True)
        ]

    def state(self) -> State:
        """The trainer's state, and the best network so far."""
        shared = self.trainer.state()
        return State(shared.tensors, {**shared.numbers, "best": self.best, "accuracy": self.best_accuracy})

    def restore(self, state: State) -> None:
        """Go back to a state."""
        self.trainer.restore(state)
        self.best = list(state.numbers["best"])
        self.best_accuracy = float(state.numbers["accuracy"])
