"""The type of a tensor: its dimensions, without the batch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from compiler.ir.expression import Assignment, Value, evaluate, is_symbolic, show

Dimensions = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TensorType:
    """Dimensions `[channels, height, width]`, `[tokens, channels]` or `[channels]`; fp32, batch 1."""

    dimensions: tuple[Value, ...]

    @property
    def channels(self) -> Value:
        """The channels: the first of three dimensions, else the last."""
        return self.dimensions[0] if len(self.dimensions) == 3 else self.dimensions[-1]

    @property
    def is_concrete(self) -> bool:
        """True if no dimension depends on a decision."""
        return not any(is_symbolic(dimension) for dimension in self.dimensions)

    @property
    def sizes(self) -> Dimensions:
        """The dimensions as integers.

        Raises:
            TypeError: a dimension still depends on a decision.
        """
        if not all(isinstance(dimension, int) for dimension in self.dimensions):
            raise TypeError(f"{self} is not concrete")
        return tuple(int(dimension) for dimension in self.dimensions)  # type: ignore[arg-type]

    @property
    def elements(self) -> int:
        """The number of elements of a concrete type."""
        return math.prod(self.sizes)

    def under(self, assignment: Assignment) -> TensorType:
        """This type with its decisions replaced by `assignment`."""
        return TensorType(tuple(evaluate(dimension, assignment) for dimension in self.dimensions))

    def __str__(self) -> str:
        return f"[{', '.join(show(dimension) for dimension in self.dimensions)}]"
