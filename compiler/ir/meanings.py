"""What each operator and each of its parameters means, in words: the text of docs/operators.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ANY = "any type"
IMAGE = "`[C, H, W]`"
TOKENS = "`[T, C]`"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an operator computes, what it takes and gives, what it trains, its MACs, and a remark on the result."""

    computes: str
    takes: str = ANY
    gives: str = "the type of its operand"
    trains: str = ""
    macs: str = ""
    remark: str = ""


_WINDOW = (
    "the window's positions: `H' = (H + 2 padding - dilation (kernel - 1) - 1) // stride + 1`, `W'` alike"
)
_POOL = _WINDOW.replace("dilation (kernel - 1) - 1", "kernel") + "; with `ceil_mode` rounded up"
_TRANSPOSED = "`H' = (H - 1) stride - 2 padding + dilation (kernel - 1) + output_padding + 1`, `W'` alike"

MEANINGS: Mapping[str, Meaning] = {
    "conv": Meaning(
        "convolution",
        IMAGE,
        "`[out, H', W']`",
        "`out kernel² C / groups`, and `out` of the bias",
        "`out H' W' kernel² C / groups`",
        _WINDOW,
    ),
    "depthwise": Meaning(
        "convolution of each channel by itself",
        IMAGE,
        "`[C, H', W']`",
        "`C kernel²`, and `C` of the bias",
        "`C H' W' kernel²`",
        "as `conv`",
    ),
    "conv_transpose": Meaning(
        "transposed convolution: each element of the operand adds a window to the result",
        IMAGE,
        "`[out, H', W']`",
        "`C kernel² out / groups`, and `out` of the bias",
        "`C H W kernel² out / groups`",
        _TRANSPOSED,
    ),
    "linear": Meaning(
        "linear layer",
        f"`[C]` or {TOKENS}",
        "`[out]`, of tokens `[T, out]`",
        "`out C`, and `out` of the bias",
        "`out C`; of tokens `T out C`",
    ),
    "bn": Meaning("batch norm, with a scale and a shift for each channel", trains="`2 C`"),
    "layer_norm": Meaning(
        "layer norm over the channels at each place, with a scale and a shift for each channel",
        trains="`2 C`",
    ),
    "layer_scale": Meaning("product with a factor for each channel (ConvNeXt's layer scale)", trains="`C`"),
    "relu": Meaning("`max(x, 0)`"),
    "relu6": Meaning("`min(max(x, 0), 6)`"),
    "sigmoid": Meaning("`1 / (1 + exp(-x))`"),
    "hsigmoid": Meaning("`relu6(x + 3) / 6`"),
    "hswish": Meaning("`x hsigmoid(x)`"),
    "swish": Meaning("`x sigmoid(x)`, also called SiLU"),
    "gelu": Meaning("`x Φ(x)`, with the normal distribution's function Φ"),
    "tanh": Meaning("hyperbolic tangent"),
    "elu": Meaning("`x` where it is positive, else `exp(x) - 1`"),
    "leaky_relu": Meaning("`x` where it is positive, else `slope x`"),
    "softmax": Meaning("softmax over the channels at each place"),
    "dropout": Meaning(
        "in training zeros elements by chance and scales the others by `1 / (1 - rate)`; else passes them on"
    ),
    "identity": Meaning("passes its operand on"),
    "zero": Meaning("zeros of the operand's type"),
    "max_pool": Meaning("greatest element of the window", IMAGE, "`[C, H', W']`", remark=_POOL),
    "avg_pool": Meaning(
        "mean of what the window holds of the operand", IMAGE, "`[C, H', W']`", remark="as `max_pool`"
    ),
    "global_pool": Meaning("mean of each channel", f"{IMAGE} or {TOKENS}", "`[C]`"),
    "global_max_pool": Meaning("greatest element of each channel", f"{IMAGE} or {TOKENS}", "`[C]`"),
    "slice": Meaning(
        "some of the channels: from number `start` up to, and without, number `stop`",
        gives="its operand's type, with `stop - start` channels",
    ),
    "crop": Meaning(
        "takes rows and columns off the edges", IMAGE, "`[C, H - top - bottom, W - left - right]`"
    ),
    "channel_shuffle": Meaning(
        "mixes groups of channels (ShuffleNet): channel `i` of group `g` comes to place `i groups + g`"
    ),
    "resize": Meaning(
        "scales height and width: each element is that of the operand's place `floor(y / scale)`, "
        "`floor(x / scale)`; with `bilinear` it lies between four, aligned as PyTorch's `interpolate` does "
        "(`align_corners` false)",
        IMAGE,
        "`[C, floor(H scale), floor(W scale)]`",
    ),
    "flatten": Meaning("all elements in order", gives="`[C H W]`, of tokens `[T C]`"),
    "tokens": Meaning("a token for each place, row by row", IMAGE, "`[H W, C]`"),
    "image": Meaning("a place for each token, row by row", TOKENS, "`[C, height, width]`"),
    "attention": Meaning(
        "scaled dot-product attention of `heads` heads: `softmax(Q Kᵀ / sqrt(C / heads)) V` for each, "
        "with queries, keys and values from linear layers before it, and one after it",
        "queries `[T, C]`, and as parameters keys `[S, C]` and values `[S, D]`",
        "`[T, D]`",
        macs="`T S C + T S D`",
    ),
    "matmul": Meaning(
        "matrix product",
        "`[T, S]`, and as a parameter `[S, D]`",
        "`[T, D]`",
        macs="`T S D`",
    ),
    "class_token": Meaning("puts a trained token before the others", TOKENS, "`[T + 1, C]`", trains="`C`"),
    "position_embedding": Meaning("adds a trained element to each", TOKENS, trains="`T C`"),
    "token": Meaning("one of the tokens", TOKENS, "`[C]`"),
    "add": Meaning("sum, element by element", "operands of one type", "that type"),
    "mul": Meaning(
        "product, element by element",
        "operands of one type, in any order; some may be `[C]`, one element for each channel of the others, "
        "or have one channel, one element for each place (`[1, H, W]`)",
        "the largest type",
    ),
    "concat": Meaning(
        "operands one after the other, by channels",
        "operands that differ in channels only",
        "their type, with the channels summed",
    ),
}

PARAMETERS: Mapping[str, str] = {
    "out": "channels of the result",
    "kernel": "height and width of the window",
    "stride": "step of the window, in both directions",
    "padding": "rows and columns added on each side: zeros for convolutions, nothing for pools",
    "conv_transpose.stride": "distance of the windows in the result",
    "conv_transpose.padding": "rows and columns of the result left away on each side",
    "output_padding": "rows and columns kept at the bottom and the right; less than `stride` or `dilation`",
    "kernel_width": "width of the window, where it is no square",
    "stride_width": "step of the window along a row",
    "padding_width": "columns added on each side",
    "ceil_mode": "whether a last window may stand over the end, as PyTorch has it; it sees what there is",
    "dilation": "distance of the window's elements",
    "groups": "groups of channels; divides those of operand and result",
    "channel_shuffle.groups": "groups of channels; divides their number",
    "bias": "whether a number is added to each channel of the result",
    "eps": "added to the variance",
    "momentum": "weight of a batch in the running mean and variance",
    "initial": "every factor before training",
    "slope": "factor of negative elements",
    "rate": "chance that an element is set to zero in training",
    "start": "first channel taken, counted from 0",
    "stop": "first channel not taken any more",
    "top": "rows taken off",
    "left": "columns taken off",
    "bottom": "rows taken off",
    "right": "columns taken off",
    "scale": "size of the result by that of the operand: 2 doubles it, 1/2 halves it",
    "bilinear": "whether elements are interpolated",
    "height": "rows of the image; `height * width` is `T`",
    "width": "columns of the image",
    "keys": "what queries are compared with",
    "values": "what is summed",
    "heads": "groups of channels that attend by themselves; divides `C` and `D`",
    "other": "the second factor",
    "index": "number of the token, counted from 0",
}
"""What a parameter means, by its name, or by its operator's and its own where it means something else there."""

DEFAULTS: Mapping[str, str] = {
    "padding": "`dilation * (kernel - 1) / 2`; must be given where that is no integer",
    "max_pool.padding": "`(kernel - 1) / 2`; `0` for an even kernel; at most `kernel / 2`",
    "avg_pool.padding": "`(kernel - 1) / 2`; `0` for an even kernel; at most `kernel / 2`",
    "conv_transpose.padding": (
        "what gives `stride` times the operand's size, `(dilation (kernel - 1) + 1 + output_padding - stride) / 2`; "
        "must be given where that is no integer from 0"
    ),
    "kernel_width": "`kernel`",
    "ceil_mode": "`false`",
    "stride_width": "`stride`",
    "padding_width": "`padding`; where `kernel_width` is given, as `padding` from it",
}
"""The defaults that are worked out, named likewise."""
