"""Batch norm over a batch that several processes share, each of which has some of its images.

Mean and variance are those of the whole batch, and so are the gradients through them: one sum over all processes
on the way forward, one on the way back. PyTorch's SyncBatchNorm does the same (its three CUDA kernels are not there
on a CPU); the gradient is equation set 3.1 of Ioffe and Szegedy, "Batch normalization", ICML 2015.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from compiler.nets.forward import FORWARD, Mode, Settings, Weights

Total = Callable[[Tensor], Tensor]
"""Sums a tensor over all processes, which call it at the same places, each with its own values in the same shape.
It may write the sum into the tensor."""


def shared_batch_norm(
    total: Total, operands: Sequence[Tensor], weights: Weights, settings: Settings, mode: Mode
) -> Tensor:
    """What `compiler.nets.forward` computes as `bn`, the batch being that of all processes together."""
    if mode == "evaluate":
        return FORWARD["bn"](operands, weights, settings, mode)
    values = operands[0].transpose(1, 2) if operands[0].dim() == 3 else operands[0]
    with torch.no_grad():
        count, mean, variance = moments(values, total)
        if mode == "train":
            momentum = float(settings["momentum"])
            for name, found in (("running_mean", mean), ("running_var", variance * count / (count - 1))):
                weights[name].lerp_(found.to(weights[name].dtype), momentum)
    result: Tensor = _Normalised.apply(  # type: ignore[no-untyped-call]
        values, weights["weight"], weights["bias"], count, mean, variance, float(settings["eps"]), total
    )
    return result.transpose(1, 2) if operands[0].dim() == 3 else result


def moments(values: Tensor, total: Total) -> tuple[Tensor, Tensor, Tensor]:
    """The count of values a channel (dimension 1), their mean and their biased variance, over all processes: float64.

    Each process takes its own in the precision of its kernels; they are joined in float64, so that the difference
    of two squares is harmless.
    """
    wide = values.to(torch.promote_types(values.dtype, torch.float32))
    mean, variance = (part.double() for part in torch.batch_norm_update_stats(wide, None, None, 0.0))
    count = mean.new_full((1,), values.numel() / values.shape[1])
    sums = total(torch.cat([count, count * mean, count * (variance + mean**2)]))
    mean, squares = (sums[1:] / sums[0]).chunk(2)
    return sums[:1], mean, (squares - mean**2).clamp_min_(0)


class _Normalised(torch.autograd.Function):
    """`(values - mean) / sqrt(variance + eps) * scale + shift`, where mean and variance are functions of all values."""

    @staticmethod
    def forward(
        ctx: Any,
        values: Tensor,
        scale: Tensor,
        shift: Tensor,
        count: Tensor,
        mean: Tensor,
        variance: Tensor,
        eps: float,
        total: Total,
    ) -> Tensor:
        mean, variance = mean.to(scale.dtype), variance.to(scale.dtype)
        ctx.save_for_backward(values, scale, count.to(scale.dtype), mean, variance)
        ctx.eps, ctx.total = eps, total
        return F.batch_norm(values, mean, variance, scale, shift, training=False, eps=eps)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        values, scale, count, mean, variance = ctx.saved_tensors
        inverse = torch.rsqrt(variance + ctx.eps)
        direct, of_scale, of_shift = torch.ops.aten.native_batch_norm_backward(
            gradient, values, scale, mean, variance, mean, inverse, False, ctx.eps, [True, True, True]
        )
        scale_mean, shift_mean = (ctx.total(torch.cat([of_scale, of_shift])) / count).chunk(2)
        slope = inverse**2 * scale * scale_mean
        offset = slope * mean - inverse * scale * shift_mean
        shape = (1, -1, *[1] * (values.dim() - 2))
        through_statistics = torch.addcmul(offset.view(shape), values, slope.view(shape), value=-1)
        return direct.add_(through_statistics), of_scale, of_shift, *[None] * 5
