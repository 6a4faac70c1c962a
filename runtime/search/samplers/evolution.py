"""Evolution: constrained NSGA-II (Deb, Pratap, Agarwal, Meyarivan, IEEE Trans. Evol. Comput. 2002).

Parents win binary tournaments by constrained domination, then by crowding distance; children cross them
uniformly and change single decisions. A network that was judged is not judged again. Where networks have no
objective beside their score, this is an evolution of the score alone, whose best always survive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from compiler.nets.streams import stream
from compiler.path_costs import Picks
from runtime.search.samplers.sampler import Judged, Region, shares

TRIES = 50
"""Children of a pair until one is new; then a random network takes the place."""


def dominates(one: Judged, other: Judged) -> bool:
    """Constrained domination: a network that holds its caps over one that does not, else the smaller excess,
    else one that is no worse in anything and better in something."""
    if one.excess > 0 or other.excess > 0:
        return one.excess < other.excess
    own, its = (-one.score, *one.objectives), (-other.score, *other.objectives)
    return own != its and all(a <= b for a, b in zip(own, its, strict=True))


def fronts(population: Sequence[Judged]) -> list[list[Judged]]:
    """The population by rank: the networks that none dominates, those that only these dominate, and so on.

    The paper's fast sort: each pair is compared once in either direction.
    """
    beats = [[at for at, other in enumerate(population) if dominates(each, other)] for each in population]
    beaten_by = Counter(at for row in beats for at in row)
    front, found = [at for at in range(len(population)) if not beaten_by[at]], []
    while front:
        found.append([population[at] for at in front])
        beaten_by.subtract(at for winner in front for at in beats[winner])
        front = sorted({at for winner in front for at in beats[winner] if not beaten_by[at]})
    return found


def crowding(front: Sequence[Judged]) -> dict[Picks, float]:
    """The crowding distance of each network of a front: how far its neighbours are in each objective."""
    distance = {each.picks: 0.0 for each in front}
    values = {each.picks: (-each.score, *each.objectives) for each in front}
    for axis in range(len(front[0].objectives) + 1):
        ordered = sorted(distance, key=lambda picks: values[picks][axis])
        low, high = values[ordered[0]][axis], values[ordered[-1]][axis]
        distance[ordered[0]] = distance[ordered[-1]] = float("inf")
        for before, picks, after in zip(ordered, ordered[1:], ordered[2:], strict=False):
            gap = values[after][axis] - values[before][axis]
            distance[picks] += gap / (high - low) if high > low else 0.0
    return distance


@dataclass
class EvolutionSampler:
    """A population of `size`; `mutation` is the chance that a decision of a child changes."""

    region: Region
    seed: int
    size: int = 20
    mutation: float = 0.1
    population: list[Judged] = field(default_factory=list)
    children: list[Judged] = field(default_factory=list)
    seen: set[Picks] = field(default_factory=set)
    asked: int = 0
    repeats: bool = False
    ranks: dict[Picks, tuple[int, float]] = field(default_factory=dict)

    def ask(self) -> Picks:
        """A random network until the population is full, then a child of two of it."""
        generator = stream(self.seed, "evolution", self.asked)
        self.asked += 1
        for _ in range(TRIES):
            picks = (
                self._child(generator) if len(self.population) == self.size else self.region.fresh(generator)
            )
            if picks not in self.seen and self.region.excess(picks) < float("inf"):
                return picks
        return self.region.fresh(generator)

    def _child(self, generator: torch.Generator) -> Picks:
        self.ranks = self.ranks or self._ranks()
        mother, father = (self._winner(generator) for _ in range(2))
        draws = torch.rand(3, len(self.region.candidates), dtype=torch.float64, generator=generator).tolist()
        rate = max(self.mutation, 1 / len(self.region.candidates))
        return tuple(
            int(new * size) if change < rate else (one if side < 0.5 else other)
            for one, other, size, side, change, new in zip(
                mother.picks, father.picks, self.region.candidates, *draws, strict=True
            )
        )

    def _winner(self, generator: torch.Generator) -> Judged:
        places = torch.randint(len(self.population), (2,), generator=generator)
        rivals = [self.population[int(place)] for place in places]
        return min(rivals, key=lambda each: self.ranks[each.picks])

    def _ranks(self) -> dict[Picks, tuple[int, float]]:
        """By rank, then the loneliest first."""
        return {
            picks: (rank, -distance)
            for rank, front in enumerate(fronts(self.population))
            for picks, distance in crowding(front).items()
        }

    def tell(self, judged: Judged) -> None:
        """Another member of the population, or of the generation that is to compete with it."""
        known, self.seen = judged.picks in self.seen, self.seen | {judged.picks}
        if known:
            return
        if len(self.population) < self.size:
            self.population.append(judged)
            return
        self.children.append(judged)
        if len(self.children) == self.size:
            self._select()

    def _select(self) -> None:
        """The best of both generations, by rank and then the loneliest, make the next."""
        self.population, self.children = [*self.population, *self.children], []
        ranks = self._ranks()
        self.population.sort(key=lambda each: (ranks[each.picks], each.picks))
        del self.population[self.size :]
        self.ranks = {}

    def front(self) -> list[Judged]:
        """The networks known that none dominates, the best score first."""
        everyone = [*self.population, *self.children]
        return sorted(fronts(everyone)[0], key=lambda each: -each.score) if everyone else []

    def probabilities(self) -> list[list[float]]:
        """The shares of the candidates in the population."""
        return shares(self.region.candidates, [each.picks for each in self.population])

    def state(self) -> Mapping[str, Any]:
        """The two generations, and what was seen."""
        return {
            "population": [asdict(each) for each in self.population],
            "children": [asdict(each) for each in self.children],
            "seen": sorted(self.seen),
            "asked": self.asked,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a state."""
        self.population, self.children = (
            [_judged(fields) for fields in state[name]] for name in ("population", "children")
        )
        self.seen, self.asked = {tuple(picks) for picks in state["seen"]}, int(state["asked"])
        self.ranks = {}


def _judged(fields: Mapping[str, Any]) -> Judged:
    objectives = tuple(float(value) for value in fields["objectives"])
    return Judged(tuple(fields["picks"]), float(fields["score"]), objectives, float(fields["excess"]))
