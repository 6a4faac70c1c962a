"""REINFORCE (Williams, Machine Learning 1992) on a softmax of each decision, with a moving baseline.

As in ProxylessNAS (ICLR 2019), section 3.3.2: some networks an update, the gradient of their log-probabilities
times reward minus baseline, and `Adam` as for the gradient strategy's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from compiler.nets.architecture_parameters import ArchitectureParameters
from compiler.nets.streams import stream
from compiler.path_costs import Picks
from runtime.search.adam import Adam
from runtime.search.samplers.sampler import Judged, Region

MOMENTUM = 0.9
"""How much of the baseline stays at each update."""


@dataclass
class Baseline:
    """The moving mean of rewards; None before the first."""

    value: float | None = None

    def advantages(self, rewards: Sequence[float]) -> list[float]:
        """Rewards over the baseline, in units of their own deviation; then the baseline moves."""
        mean = sum(rewards) / len(rewards)
        value = mean if self.value is None else self.value
        deviation = (sum((reward - mean) ** 2 for reward in rewards) / len(rewards)) ** 0.5
        self.value = MOMENTUM * value + (1 - MOMENTUM) * mean
        return [(reward - value) / max(deviation, 1e-8) for reward in rewards]


def policy_objective(
    alphas: ArchitectureParameters, drawn: Sequence[Picks], advantages: Sequence[float]
) -> Tensor:
    """The mean of `-advantage * log p(network)`, whose gradient with respect to alpha is REINFORCE's."""
    logs = [part.clamp_min(1e-300).log() for part in alphas.probabilities()]
    terms = [
        gain * torch.stack([part[pick] for part, pick in zip(logs, picks, strict=True)]).sum()
        for gain, picks in zip(advantages, drawn, strict=True)
    ]
    return -torch.stack(terms).mean()


@dataclass
class ReinforceSampler:
    """`samples` networks an update at the rate `lr`; `entropy` is the weight of the entropy bonus.

    The reward of a network that breaks its caps is less by its share of excess.
    """

    region: Region
    seed: int
    samples: int = 10
    lr: float = 0.1
    entropy: float = 0.0
    baseline: Baseline = field(default_factory=Baseline)
    batch: list[tuple[Picks, float]] = field(default_factory=list)
    asked: int = 0
    repeats: bool = True

    def __post_init__(self) -> None:
        self.alphas = ArchitectureParameters(self.region.candidates, self.seed)
        self.adam = Adam(self.alphas.alpha)

    def ask(self) -> Picks:
        """A draw by the probabilities."""
        self.asked += 1
        generator = stream(self.seed, "reinforce", self.asked - 1)
        return self.region.under(lambda: self.alphas.draw(generator), generator)

    def tell(self, judged: Judged) -> None:
        """One more reward; an update where they are enough."""
        self.batch.append((judged.picks, judged.score - judged.excess * abs(judged.score)))
        if len(self.batch) == self.samples:
            self._update()
            self.batch = []

    def _update(self) -> None:
        drawn, rewards = zip(*self.batch, strict=True)
        objective = policy_objective(self.alphas, drawn, self.baseline.advantages(rewards))
        objective = objective + self.entropy * self.alphas.certainty()
        (gradient,) = torch.autograd.grad(objective, self.alphas.alpha)
        self.adam.descend(gradient, torch.arange(len(gradient)), self.lr)

    def probabilities(self) -> list[list[float]]:
        """The softmax of each decision."""
        return [part.detach().tolist() for part in self.alphas.probabilities()]

    def state(self) -> Mapping[str, Any]:
        """Alpha and its second moments, the baseline, and the batch under way; doubles survive JSON."""
        return {
            "alpha": self.alphas.alpha.detach().tolist(),
            "squares": self.adam.squares.tolist(),
            "counts": self.adam.counts.tolist(),
            "baseline": self.baseline.value,
            "batch": [[list(picks), reward] for picks, reward in self.batch],
            "asked": self.asked,
        }

    @torch.no_grad()
    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a state."""
        self.alphas.alpha.copy_(torch.tensor(state["alpha"], dtype=torch.float64))
        self.adam.squares = torch.tensor(state["squares"], dtype=torch.float64)
        self.adam.counts = torch.tensor(state["counts"], dtype=torch.float64)
        self.baseline.value = state["baseline"]
        self.batch = [(tuple(picks), float(reward)) for picks, reward in state["batch"]]
        self.asked = int(state["asked"])
