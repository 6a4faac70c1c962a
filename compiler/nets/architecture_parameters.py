"""Architecture parameters (alpha): a probability for each candidate, and the gradient they get.

ProxylessNAS (ICLR 2019), sections 3.2 and 3.3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from compiler.nets.streams import stream

INITIAL_DEVIATION = 1e-3
"""alpha ~ N(0, 1e-3) in the public search code."""


class ArchitectureParameters:
    """`alpha` holds the parameters of all decisions one after the other, in double precision.

    `alive` lists, for each decision, the candidates that can still be drawn: the others have probability 0.
    """

    def __init__(self, candidates: Sequence[int], seed: int) -> None:
        self.candidates = list(candidates)
        initial = torch.zeros(sum(candidates), dtype=torch.float64)
        self.alpha = nn.Parameter(initial.normal_(0, INITIAL_DEVIATION, generator=stream(seed, "init alpha")))
        self.alive = [list(range(size)) for size in candidates]

    def drop(self, decision: int, pick: int) -> None:
        """A candidate that is not to be drawn again; the others keep their ratios."""
        self.alive[decision] = [each for each in self.alive[decision] if each != pick]

    def _parts(self, alpha: Tensor) -> tuple[Tensor, ...]:
        parts = torch.split(alpha, self.candidates)
        return tuple(
            part if len(alive) == len(part) else part.masked_fill(_dead(len(part), alive), -math.inf)
            for part, alive in zip(parts, self.alive, strict=True)
        )

    def probabilities(self) -> tuple[Tensor, ...]:
        """`softmax(alpha)` of each decision, shape `[candidates]`, differentiable."""
        return tuple(torch.softmax(part, 0) for part in self._parts(self.alpha))

    def shares(self, compared: Sequence[Sequence[int]]) -> tuple[Tensor, ...]:
        """The probabilities among the candidates compared alone, shape `[compared]`, differentiable."""
        parts = torch.split(self.alpha, self.candidates)
        return tuple(
            torch.softmax(part[list(chosen)], 0) for part, chosen in zip(parts, compared, strict=True)
        )

    def log_probabilities(self) -> list[list[float]]:
        """The logarithms of the probabilities, as numbers."""
        return [torch.log_softmax(part, 0).tolist() for part in self._parts(self.alpha.detach())]

    def draw(self, generator: torch.Generator, explore: float = 0.0) -> tuple[int, ...]:
        """One candidate a decision, by its probability; with the chance `explore`, any that is alive alike."""
        return self.draws(generator, explore)()

    def draws(self, generator: torch.Generator, explore: float = 0.0) -> Callable[[], tuple[int, ...]]:
        """What draws as `draw` does, again and again, by the probabilities of now."""
        probabilities = [part.detach() for part in self.probabilities()]
        if explore > 0:
            uniform = [(part > -math.inf).double() for part in self._parts(self.alpha.detach())]
            pairs = zip(probabilities, uniform, strict=True)
            probabilities = [(1 - explore) * part + explore * any_ / any_.sum() for part, any_ in pairs]
        return partial(_draw, probabilities, generator)

    def certainty(self) -> Tensor:
        """The mean over decisions of the negative entropy in units of the greatest: -1 uniform, 0 decided."""
        parts = [part[list(alive)] for part, alive in zip(self.probabilities(), self.alive, strict=True)]
        terms = [
            (part * part.clamp_min(1e-300).log()).sum() / math.log(size)
            for part, size in zip(parts, self.candidates, strict=True)
            if size > 1
        ]
        return torch.stack(terms).mean() if terms else torch.zeros((), dtype=torch.float64)

    def entropy(self) -> float:
        """The mean over decisions of the entropy, each in units of the greatest: 1 uniform, 0 decided."""
        return -float(self.certainty().detach())


def _dead(size: int, alive: Sequence[int]) -> Tensor:
    dead = torch.ones(size, dtype=torch.bool)
    dead[list(alive)] = False
    return dead


def _draw(probabilities: Sequence[Tensor], generator: torch.Generator) -> tuple[int, ...]:
    drawn = torch.rand(len(probabilities), dtype=torch.float64, generator=generator)
    return tuple(
        min(int(torch.searchsorted(part.cumsum(0), at, right=True)), int(part.nonzero()[-1]))
        for part, at in zip(probabilities, drawn, strict=True)
    )


def draw_uniform(candidates: Sequence[int], generator: torch.Generator) -> tuple[int, ...]:
    """One candidate a decision, all equally likely: the random paths of the warm-up."""
    return _draw([torch.full((size,), 1 / size, dtype=torch.float64) for size in candidates], generator)


def draw_pairs(
    probabilities: Sequence[Tensor], generator: torch.Generator
) -> tuple[tuple[tuple[int, ...], ...], tuple[int, ...]]:
    """Two candidates a decision, without replacement, and the one of them that is active; one where no other is left.

    The active one is drawn by the softmax over the two (ProxylessNAS, section 3.2).
    """
    first = _draw(probabilities, generator)
    others = [
        part.detach().index_fill(0, torch.tensor(i), 0.0)
        for part, i in zip(probabilities, first, strict=True)
    ]
    second = _draw(
        [
            part / part.sum() if part.sum() > 0 else own
            for part, own in zip(others, probabilities, strict=True)
        ],
        generator,
    )
    pairs = tuple(tuple(sorted({a, b})) for a, b in zip(first, second, strict=True))
    within = [part.detach()[list(pair)] for part, pair in zip(probabilities, pairs, strict=True)]
    active = _draw([part / part.sum() for part in within], generator)
    return pairs, tuple(pair[pick] for pair, pick in zip(pairs, active, strict=True))


def one_hot_gates(
    compared: Sequence[Sequence[int]], picks: Sequence[int], device: torch.device | None = None
) -> tuple[Tensor, ...]:
    """The binary gates of the candidates compared, shape `[compared]` each, requiring a gradient."""
    return tuple(
        torch.tensor([float(index == pick) for index in chosen], device=device).requires_grad_()
        for chosen, pick in zip(compared, picks, strict=True)
    )


def gate_objective(probabilities: Sequence[Tensor], gradients: Sequence[Tensor]) -> Tensor:
    """A scalar whose gradient with respect to alpha is the binarised one (ProxylessNAS, equation 4).

    `dL/dalpha_i = sum_j (dL/dg_j) p_j (delta_ij - p_i)`: the gates' gradients are constants here.
    """
    terms = [(part * given.detach()).sum() for part, given in zip(probabilities, gradients, strict=True)]
    return torch.stack(terms).sum() if terms else torch.zeros((), dtype=torch.float64)


def expectation(fixed: float, costs: Sequence[Sequence[float]], probabilities: Sequence[Tensor]) -> Tensor:
    """`E = fixed + sum over decisions of sum_j p_j F_j`, in the costs' unit (ProxylessNAS, equation 5).

    It does not depend on which path is drawn, so that its gradient reaches every decision in every step.
    """
    total = torch.tensor(fixed, dtype=torch.float64)
    for row, part in zip(costs, probabilities, strict=True):
        total = total + (part * torch.tensor(row, dtype=torch.float64)).sum()
    return total
