"""Schedules of kernels near to one that was not tuned yet: where its tuning may begin.

Kernels are near that differ in their channels and sizes alone: the same operators with the same window,
stride and padding, on as many dimensions. The distance of two is the sum of |log2| of the ratios of these.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from heapq import nsmallest
from itertools import zip_longest
from math import log2

from compiler.codegen.schedules import template_of
from compiler.codegen.schedules.template import Schedule
from compiler.kernel import Kernel, unchecked
from runtime.records.database import Records
from runtime.records.record import Key, fastest, of_kind

SHAPES, EACH = 8, 4
"""Near kernels whose schedules are offered, and how many of each."""
DEFAULTS = 3
"""Default schedules that are tried before those of near kernels."""
CHANNELS = "out"
"""The attribute of operators that is a number of channels."""

Family = tuple[object, ...]
"""What near kernels have in common."""
Scale = tuple[float, ...]
"""The logarithms of what they differ in."""


class Neighbours:
    """The kernels that have records under a key, as they were when this was made."""

    def __init__(self, records: Records, key: Key) -> None:
        self.records, self.key = records, key
        self._families: dict[Family, list[tuple[Scale, str]]] = {}
        for signature in records.signatures(key):
            place = _place(signature)
            if place is not None:
                self._families.setdefault(place[0], []).append((place[1], signature))

    def seeded(self, kernel: Kernel, candidates: Sequence[Schedule]) -> list[Schedule]:
        """A kernel's candidates in the order to try them: a few defaults, those that near kernels use, the rest.

        A near kernel's schedule that is none of the candidates does not fit this kernel's shape.

        Raises:
            Unsupported: no template writes the kernel.
        """
        fitting = set(candidates)
        near = [schedule for schedule in self.near(kernel) if schedule in fitting]
        return list(dict.fromkeys([*candidates[:DEFAULTS], *near, *candidates]))

    def near(self, kernel: Kernel) -> list[Schedule]:
        """Schedules of near kernels, all of the kernel's template: the best of the nearest, the best of the next, …

        Then the second best of each, and so on. Some may not fit the kernel's own shape.

        Raises:
            Unsupported: no template writes the kernel.
        """
        template, place = template_of(kernel).name, _place(kernel.signature)
        if place is None:
            return []
        family, scale = place
        others = [each for each in self._families.get(family, ()) if each[1] != kernel.signature]
        chosen = [
            name for _, name in nsmallest(SHAPES, others, key=lambda other: (_gap(scale, other[0]), other[1]))
        ]
        held: dict[str, list[Schedule]] = {}
        rows = of_kind(self.records.rows(chosen, self.key), self.key)
        rows = [row for row in rows if row.schedule.template == template]
        for record in fastest(rows, EACH):
            held.setdefault(record.signature, []).append(record.schedule)
        turns = zip_longest(*(held.get(name, []) for name in chosen))
        return list(dict.fromkeys(schedule for turn in turns for schedule in turn if schedule is not None))


@lru_cache(maxsize=1 << 14)
def _place(signature: str) -> tuple[Family, Scale] | None:
    """The family of a kernel, and where it stands in it; None for a text that is no signature."""
    try:
        kernel = unchecked(signature)
    except ValueError:
        return None
    channels = [step.settings[CHANNELS] for step in kernel.steps if CHANNELS in step.settings]
    sizes = [size for shape in kernel.inputs for size in shape] + [int(size) for size in channels]
    steps = [
        (step.operator, step.operands, tuple(pair for pair in step.attributes if pair[0] != CHANNELS))
        for step in kernel.steps
    ]
    ranks = tuple(len(shape) for shape in kernel.inputs)
    return (ranks, *steps), tuple(log2(max(1, size)) for size in sizes)


def _gap(scale: Scale, other: Scale) -> float:
    return sum(abs(here - there) for here, there in zip(scale, other, strict=True))
