"""How much memory a TIR function takes besides its arguments."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from compiler.codegen.schedules.emit import CACHE_LINE, STAYS_IN_PLACE, round_up
from compiler.codegen.tvm_api import Statement, statements
from compiler.kernel import FP32_BYTES

_INNER = ("body", "then_case", "else_case")
"""The attributes of a statement that are statements."""


def scratch_bytes(function: Statement) -> int:
    """The most bytes that one thread takes from TVM's pool of workspaces at a time while the function runs.

    All its buffers of fp32 values are counted as if they lived together, each in whole cache lines.
    """
    sizes = [prod(int(size) for size in each.buffer.shape) for each in _workspaces(function.body)]
    return sum(round_up(FP32_BYTES * size, CACHE_LINE) for size in sizes)


def _workspaces(statement: Statement) -> Iterator[Statement]:
    """The allocations within a statement that are no variables on the stack."""
    if isinstance(statement, statements.AllocBuffer) and STAYS_IN_PLACE not in statement.annotations:
        yield statement
    for part in getattr(statement, "seq", ()):
        yield from _workspaces(part)
    for name in _INNER:
        part = getattr(statement, name, None)
        if part is not None:
            yield from _workspaces(part)
