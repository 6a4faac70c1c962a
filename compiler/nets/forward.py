"""What each operator computes in PyTorch, in one table.

Tensors are `[batch, channels, height, width]` (channels-last in memory), `[batch, tokens, channels]` or
`[batch, channels]`. Weights and statistics have the names, shapes and layouts of `compiler.ir.ops`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import partial, reduce
from typing import Literal as OneOf

import torch
import torch.nn.functional as F
from torch import Tensor

from compiler.ir.ops import pair
from compiler.ir.ops.movement import scale_factor

Mode = OneOf["train", "observe", "evaluate"]
"""`train`: batch norm uses the batch's statistics and updates the running ones, dropout is on.
`observe`: the batch's statistics, nothing updated, no dropout: what an architecture step sees.
`evaluate`: the running statistics, no dropout."""

Settings = Mapping[str, int | Fraction]
Weights = Mapping[str, Tensor]
Forward = Callable[[Sequence[Tensor], Weights, Settings, Mode], Tensor]


def _ints(settings: Settings, *names: str) -> list[int]:
    return [int(settings[name]) for name in names]


def channel_axis(values: Tensor) -> int:
    """The dimension of a batch's channels."""
    return 1 if values.dim() == 4 else -1


def _conv(operands: Sequence[Tensor], weights: Weights, settings: Settings, mode: Mode) -> Tensor:
    groups = int(settings.get("groups", operands[0].shape[1]))
    stride, padding = pair(settings, "stride"), pair(settings, "padding")
    dilation = int(settings["dilation"])
    return F.conv2d(
        operands[0], weights["weight"], weights.get("bias"), stride, padding, dilation, groups=groups
    )


def _conv_transpose(operands: Sequence[Tensor], weights: Weights, settings: Settings, mode: Mode) -> Tensor:
    names = ("stride", "padding", "output_padding", "groups", "dilation")
    return F.conv_transpose2d(operands[0], weights["weight"], weights.get("bias"), *_ints(settings, *names))


def _linear(operands: Sequence[Tensor], weights: Weights, settings: Settings, mode: Mode) -> Tensor:
    return F.linear(operands[0], weights["weight"], weights.get("bias"))


def _bn(operands: Sequence[Tensor], weights: Weights, settings: Settings, mode: Mode) -> Tensor:
    values = operands[0].transpose(1, 2) if operands[0].dim() == 3 else operands[0]
    observed = mode == "observe"
    result = F.batch_norm(
        values,
        None if observed else weights["running_mean"],
        None if observed else weights["running_var"],
        weights["weight"],
        weights["bias"],
        training=mode != "evaluate",
        momentum=float(settings["momentum"]),
        eps=float(settings["eps"]),
    )
    return result.transpose(1, 2) if operands[0].dim() == 3 else result


def _layer_norm(operands: Sequence[Tensor], weights: Weights, settings: Settings, mode: Mode) -> Tensor:
    """Over the channels at each place (as in ConvNeXt and in transformers)."""
    values = operands[0].movedim(1, -1) if operands[0].dim() == 4 else operands[0]
    scale, shift = weights["weight"], weights["bias"]
    result = F.layer_norm(values, scale.shape, scale, shift, float(settings["eps"]))
    return result.movedim(-1, 1) if operands[0].dim() == 4 else result


def _layer_scale(operands: Sequence[Tensor], weights: Weights, settings: Settings, mode: Mode) -> Tensor:
    return operands[0] * over(weights["weight"], operands[0])


def _max_pool(operands: Sequence[Tensor], weights: Weights, settings: Settings, mode: Mode) -> Tensor:
    kernel, stride, padding = (pair(settings, name) for name in ("kernel", "stride", "padding"))
    return F.max_pool2d(operands[0], kernel, stride, padding, ceil_mode=bool(settings.get("ceil_mode")))


def _avg_pool(operands: Sequence[Tensor], weights: Weights, settings: Settings, mode: Mode) -> Tensor:
    """The mean of what lies inside the image: padding does not count (as in NAS-Bench-201 and DARTS)."""
    kernel, stride, padding = (pair(settings, name) for name in ("kernel", "stride", "padding"))
    ceil = bool(settings.get("ceil_mode"))
    return F.avg_pool2d(operands[0], kernel, stride, padding, ceil, count_include_pad=False)


def _places(values: Tensor) -> tuple[int, ...]:
    return (2, 3) if values.dim() == 4 else (1,)


def _dropout(operands: Sequence[Tensor], weights: Weights, settings: Settings, mode: Mode) -> Tensor:
    return F.dropout(operands[0], float(settings["rate"]), training=mode == "train")


def _leaky_relu(operands: Sequence[Tensor], weights: Weights, settings: Settings, mode: Mode) -> Tensor:
    return F.leaky_relu(operands[0], float(settings["slope"]))


def _slice(operands: Sequence[Tensor], weights: Weights, settings: Settings, mode: Mode) -> Tensor:
    start, stop = _ints(settings, "start", "stop")
    return operands[0].narrow(channel_axis(operands[0]), start, stop - start)


def _crop(operands: Sequence[Tensor], weights: Weights, settings: Settings, mode: Mode) -> Tensor:
    top, left, bottom, right = _ints(settings, "top", "left", "bottom", "right")
    height, width = operands[0].shape[2:]
    return operands[0][:, :, top : height - bottom, left : width - right]


def _channel_shuffle(operands: Sequence[Tensor], weights: Weights, settings: Settings, mode: Mode) -> Tensor:
    """Channel i of group g comes to place i * groups + g (Zhang et al., "ShuffleNet", 2018)."""
    values = operands[0].movedim(channel_axis(operands[0]), 1)
    groups = int(settings["groups"])
    grouped = values.reshape(len(values), groups, -1, *values.shape[2:])
    return grouped.transpose(1, 2).flatten(1, 2).movedim(1, channel_axis(operands[0]))


def _resize(operands: Sequence[Tensor], weights: Weights, settings: Settings, mode: Mode) -> Tensor:
    """Bilinear as `F.interpolate` has it; nearest by exact indices, which `F.interpolate` rounds at times."""
    scale = Fraction(settings["scale"])
    if settings["bilinear"]:
        factors = [scale_factor(scale, size) for size in operands[0].shape[2:]]
        return F.interpolate(operands[0], scale_factor=factors, mode="bilinear", align_corners=False)
    if scale.denominator == 1:
        return F.interpolate(operands[0], scale_factor=scale.numerator)
    rows, columns = (
        torch.arange(size * scale.numerator // scale.denominator, device=operands[0].device)
        * scale.denominator
        // scale.numerator
        for size in operands[0].shape[2:]
    )
    return operands[0].index_select(2, rows).index_select(3, columns)


def _image(operands: Sequence[Tensor], weights: Weights, settings: Settings, mode: Mode) -> Tensor:
    batch, _, channels = operands[0].shape
    return operands[0].transpose(1, 2).reshape(batch, channels, *_ints(settings, "height", "width"))


def _attention(operands: Sequence[Tensor], weights: Weights, settings: Settings, mode: Mode) -> Tensor:
    """Scaled dot products, head by head (Vaswani et al., "Attention is all you need", 2017)."""
    heads = int(settings["heads"])
    queries, keys, values = (each.reshape(*each.shape[:2], heads, -1).transpose(1, 2) for each in operands)
    return F.scaled_dot_product_attention(queries, keys, values).transpose(1, 2).flatten(2)


def _class_token(operands: Sequence[Tensor], weights: Weights, settings: Settings, mode: Mode) -> Tensor:
    token = weights["weight"].expand(operands[0].shape[0], 1, -1)
    return torch.cat([token, operands[0]], dim=1)


def _position_embedding(
    operands: Sequence[Tensor], weights: Weights, settings: Settings, mode: Mode
) -> Tensor:
    return operands[0] + weights["weight"]


def _token(operands: Sequence[Tensor], weights: Weights, settings: Settings, mode: Mode) -> Tensor:
    return operands[0][:, int(settings["index"])]


def _add(operands: Sequence[Tensor], weights: Weights, settings: Settings, mode: Mode) -> Tensor:
    return reduce(torch.add, operands)


def _mul(operands: Sequence[Tensor], weights: Weights, settings: Settings, mode: Mode) -> Tensor:
    whole = max(operands, key=Tensor.dim)
    return reduce(torch.mul, [over(values, whole) for values in operands])


def over(values: Tensor, whole: Tensor) -> Tensor:
    """`[channels]` or `[batch, channels]` with a place for every other dimension of `whole`."""
    if values.dim() > 2 or whole.dim() == 2:
        return values
    if whole.dim() == 4:
        return values[..., None, None]
    return values.unsqueeze(-2)


def _concat(operands: Sequence[Tensor], weights: Weights, settings: Settings, mode: Mode) -> Tensor:
    return torch.cat(list(operands), dim=channel_axis(operands[0]))


def _plain(function: Callable[[Tensor], Tensor]) -> Forward:
    return lambda operands, weights, settings, mode: function(operands[0])


FORWARD: Mapping[str, Forward] = {
    "conv": _conv,
    "depthwise": _conv,
    "conv_transpose": _conv_transpose,
    "linear": _linear,
    "bn": _bn,
    "layer_norm": _layer_norm,
    "layer_scale": _layer_scale,
    "relu": _plain(F.relu),
    "relu6": _plain(F.relu6),
    "sigmoid": _plain(torch.sigmoid),
    "hsigmoid": _plain(F.hardsigmoid),
    "hswish": _plain(F.hardswish),
    "swish": _plain(F.silu),
    "gelu": _plain(F.gelu),
    "tanh": _plain(torch.tanh),
    "elu": _plain(F.elu),
    "leaky_relu": _leaky_relu,
    "softmax": _plain(lambda values: values.softmax(channel_axis(values))),
    "dropout": _dropout,
    "identity": _plain(lambda values: values),
    "zero": _plain(torch.zeros_like),
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "global_pool": _plain(lambda values: values.mean(_places(values))),
    "global_max_pool": _plain(lambda values: values.amax(_places(values))),
    "slice": _slice,
    "crop": _crop,
    "channel_shuffle": _channel_shuffle,
    "resize": _resize,
    "flatten": _plain(partial(torch.flatten, start_dim=1)),
    "tokens": _plain(lambda values: values.flatten(2).transpose(1, 2)),
    "image": _image,
    "attention": _attention,
    "matmul": lambda operands, weights, settings, mode: operands[0] @ operands[1],
    "class_token": _class_token,
    "position_embedding": _position_embedding,
    "token": _token,
    "add": _add,
    "mul": _mul,
    "concat": _concat,
}
"""What each operator computes."""

OVERWRITES: Mapping[str, Forward] = {
    "relu": _plain(torch.relu_),
    "relu6": _plain(lambda values: F.relu6(values, inplace=True)),
}
"""Operators whose gradient needs their result only, so that they may overwrite their operand."""
