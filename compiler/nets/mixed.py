"""A mixed op: all candidates of a decision, of which a pass runs one; and its gates' gradient.

ProxylessNAS (Cai, Zhu, Han, ICLR 2019), section 3.2. The drawn path alone is run forward and kept for the
backward pass. In an architecture step the gradient of each binary gate, `dL/dg_j = <dL/do, o_j>`, is
computed when the backward pass arrives at the mixed op: every other candidate that is compared is then run
once, without gradient, from the same operands, so that no more than one path is ever kept. The recompute
form compares all candidates, the two-path form two of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from compiler.nets.modules import Run, register, unregister


class Path(nn.Module):
    """What a candidate is to its mixed op: a module whose `compute` takes the mixed op's operands."""

    def compute(self, operands: tuple[Tensor, ...], run: Run) -> Tensor:
        """The candidate's output."""
        raise NotImplementedError


def _inner(left: Tensor, right: Tensor) -> Tensor:
    """In float32 at least, whatever autocast made of the two."""
    wide = torch.promote_types(left.dtype, torch.float32)
    return (left.to(wide) * right.to(wide)).sum()


class _Gate(torch.autograd.Function):
    """The drawn path's output, passed on unchanged, with a gradient for the gates of those compared."""

    @staticmethod
    def forward(
        ctx: Any,
        output: Tensor,
        gates: Tensor,
        drawn: int,
        compared: Sequence[int],
        rerun: Callable[..., Tensor],
        *operands: Tensor,
    ) -> Tensor:
        ctx.save_for_backward(output, *operands)
        ctx.drawn, ctx.compared, ctx.rerun = drawn, compared, rerun
        return output.view_as(output)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        output, *operands = ctx.saved_tensors
        with torch.no_grad():
            products = [
                _inner(gradient, output if index == ctx.drawn else ctx.rerun(index, *operands))
                for index in ctx.compared
            ]
        return gradient, torch.stack(products), None, None, None, *([None] * len(operands))


def _precision(device: str) -> Callable[[], AbstractContextManager[Any]]:
    """The autocast that is on now, for a backward pass, which is run outside of it."""
    if not (torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)):
        return nullcontext
    return partial(torch.autocast, device, torch.get_autocast_dtype(device))


class MixedOp(nn.Module):
    """The candidates of one decision; `paths` maps their labels to their modules, in order."""

    def __init__(self, name: str, paths: Mapping[str, Path]) -> None:
        super().__init__()
        self.name = name
        self.decision = name
        self.labels = tuple(paths)
        self.paths: list[Path | None] = list(paths.values())
        for label, path in paths.items():
            register(self, label, path)

    def drop(self, index: int) -> None:
        """Free candidate `index`: it cannot be run again, and its tensors are no longer the supernet's."""
        self.paths[index] = None
        unregister(self, self.labels[index])

    def left(self) -> list[tuple[str, Path]]:
        """Labels and modules of the candidates that have not been dropped."""
        return [
            (label, path) for label, path in zip(self.labels, self.paths, strict=True) if path is not None
        ]

    def path(self, index: int) -> Path:
        """Candidate `index`, which has not been dropped."""
        found = self.paths[index]
        assert found is not None, f"`{self.labels[index]}` of `{self.name}` was dropped"
        return found

    def path_tensors(self, index: int) -> dict[str, Tensor]:
        """The weights and statistics of candidate `index`, by node name."""
        tensors: dict[str, Tensor] = self.path(index).state_dict(keep_vars=True)
        return tensors

    def forward(self, operands: Sequence[Tensor], run: Run) -> Tensor:
        """The drawn candidate's output; where `run` has gates, their gradient is wired in."""
        drawn = run.paths[self.decision]
        output = self.path(drawn).compute(tuple(operands), run)
        if run.gates is None:
            return output
        watched, precision = Run("observe"), _precision(output.device.type)

        def rerun(index: int, *again: Tensor) -> Tensor:
            with precision():
                return self.path(index).compute(again, watched)

        name, detached = self.decision, [operand.detach() for operand in operands]
        gated: Tensor = _Gate.apply(  # type: ignore[no-untyped-call]
            output, run.gates[name], drawn, run.compared[name], rerun, *detached
        )
        return gated
