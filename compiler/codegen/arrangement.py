"""Where the values of a network lie while it runs: at its interface, or in one workspace that is planned here."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Literal

from compiler.codegen.memory import Lifetime, plan_memory
from compiler.codegen.schedules.layout import same_in_memory

if TYPE_CHECKING:
    from compiler.passes.fuse import Plan

Home = Literal["input", "output", "workspace"]


@dataclass(frozen=True, slots=True)
class Place:
    """The memory that a value begins in, and how many fp32 values behind its beginning."""

    home: Home
    offset: int = 0


class Arrangement:
    """The place of every value of a plan.

    The network's input and result lie at its interface, channels first, and also in the workspace where they are
    copied: where channels last are other bytes, or in any case with `copied`, so that kernels see aligned memory
    alone. `workspace` is its size in fp32 values.
    """

    def __init__(self, plan: Plan, *, copied: bool = False) -> None:
        self.plan = plan
        ends = (plan.inputs[0], plan.output)
        self.copied = {name for name in ends if copied or not same_in_memory(plan.types[name])}
        memory = plan_memory(self._lifetimes())
        self.workspace, self._offsets = memory.size, memory.offsets

    def _lifetimes(self) -> list[Lifetime]:
        calls, types, source = self.plan.calls, self.plan.types, self.plan.inputs[0]
        first = {source: -1, **{call.output: index for index, call in enumerate(calls)}}
        last = dict(first)
        for index, call in enumerate(calls):
            last.update(dict.fromkeys(call.inputs, index))
        last[self.plan.output] = len(calls)
        inside = [name for name in first if self._is_inside(name)]
        return [Lifetime(name, prod(types[name]), first[name], last[name]) for name in inside]

    def _is_inside(self, name: str) -> bool:
        return name in self.copied or name not in (self.plan.inputs[0], self.plan.output)

    def place(self, name: str) -> Place:
        """Where kernels find a value."""
        if self._is_inside(name):
            return Place("workspace", self._offsets[name])
        return Place("input" if name == self.plan.inputs[0] else "output")
