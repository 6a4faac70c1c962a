"""REINFORCE (Williams, Machine Learning 1992) on a softmax of each decision, with a moving baseline.

As in ProxylessNAS (ICLR 2019), section 3.3.2: some networks an update, the gradient of their log-probabilities
times reward minus baseline, and `Adam` as for the gradient strategy's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from compiler.nets.architecture_parameters import ArchitectureParameters
from compiler.nets.streams import stream
from runtime.search.adam import Adam
from runtime.search.samplers.sampler import Judged, Picks

MOMENTUM = 0.9
"""How much of the baseline stays at each update."""


@dataclass
class ReinforceSampler:
    """`samples` networks an update at the rate `lr`; `entropy` is the weight of the entropy bonus."""

    candidates: Sequence[int]
    seed: int
    samples: int = 10
    lr: float = 0.1
    entropy: float = 0.0
    reward: Callable[[Judged], float] = lambda judged: judged.score - judged.excess
    baseline: float | None = None
    batch: list[tuple[Picks, float]] = field(default_factory=list)
    asked: int = 0

    def __post_init__(self) -> None:
        self.alphas = ArchitectureParameters(self.candidates, self.seed)
        self.adam = Adam(self.alphas.alpha)

    def ask(self) -> Picks:
        """A draw by the probabilities."""
        self.asked += 1
        return self.alphas.draw(stream(self.seed, "reinforce", self.asked - 1))

    def tell(self, judged: Judged) -> None:
        """One more reward; an update where they are enough."""
        self.batch.append((judged.picks, self.reward(judged)))
        if len(self.batch) == self.samples:
            self._update()
            self.batch = []

    def _update(self) -> None:
        mean = sum(reward for _, reward in self.batch) / len(self.batch)
        if self.baseline is None:
            self.baseline = mean
        deviation = (sum((reward - mean) ** 2 for _, reward in self.batch) / len(self.batch)) ** 0.5
        probabilities = self.alphas.probabilities()
        gains = [
            (reward - self.baseline) / max(deviation, 1e-8) * _log_probability(picks, probabilities)
            for picks, reward in self.batch
        ]
        certainty = torch.stack([(part * part.clamp_min(1e-300).log()).sum() for part in probabilities]).sum()
        loss = self.entropy * certainty - torch.stack(gains).mean()
        (gradient,) = torch.autograd.grad(loss, self.alphas.alpha)
        self.adam.descend(gradient, torch.arange(len(gradient)), self.lr)
        self.baseline = MOMENTUM * self.baseline + (1 - MOMENTUM) * mean

    def probabilities(self) -> list[list[float]]:
        """The softmax of each decision."""
        return [part.detach().tolist() for part in self.alphas.probabilities()]

    def state(self) -> Mapping[str, Any]:
        """Alpha and its second moments, the baseline, and the batch under way; doubles survive JSON."""
        return {
            "alpha": self.alphas.alpha.detach().tolist(),
            "squares": self.adam.squares.tolist(),
            "counts": self.adam.counts.tolist(),
            "baseline": self.baseline,
            "batch": [[list(picks), reward] for picks, reward in self.batch],
            "asked": self.asked,
        }

    @torch.no_grad()
    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a state."""
        self.alphas.alpha.copy_(torch.tensor(state["alpha"], dtype=torch.float64))
        self.adam.squares = torch.tensor(state["squares"], dtype=torch.float64)
        self.adam.counts = torch.tensor(state["counts"], dtype=torch.float64)
        self.baseline = state["baseline"]
        self.batch = [(tuple(picks), float(reward)) for picks, reward in state["batch"]]
        self.asked = int(state["asked"])


def _log_probability(picks: Picks, probabilities: Sequence[Tensor]) -> Tensor:
    return torch.stack([part[pick].log() for part, pick in zip(probabilities, picks, strict=True)]).sum()
