"""Calls of every operator, and small networks of the field that use them together."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from compiler.ir.expression import Value
from compiler.ir.graph import Network
from compiler.ir.ops import ACTIVATIONS
from compiler.ir.types import Dimensions
from tests.small_spaces import Wiring

Case = tuple[str, Dimensions, dict[str, Value]]
"""An operator of one operand, the operand's dimensions, what the call gives."""

IMAGE, TOKENS, VECTOR = (6, 7, 5), (9, 12), (10,)

CASES: tuple[Case, ...] = (
    ("conv", IMAGE, {"out": 4, "kernel": 1, "kernel_width": 5}),
    ("conv", IMAGE, {"out": 4, "kernel": 3, "groups": 2, "kernel_width": 1, "stride": 2, "bias": True}),
    ("conv", IMAGE, {"out": 4, "kernel": 3, "stride_width": 2, "padding_width": 0, "dilation": 2}),
    ("depthwise", IMAGE, {"kernel": 5, "kernel_width": 1, "bias": True}),
    ("conv_transpose", IMAGE, {"out": 4, "kernel": 4, "stride": 2}),
    ("conv_transpose", IMAGE, {"out": 8, "kernel": 2, "stride": 2, "groups": 2, "bias": True}),
    ("conv_transpose", IMAGE, {"out": 3, "kernel": 3, "stride": 2, "output_padding": 1, "dilation": 2}),
    ("linear", TOKENS, {"out": 7}),
    ("bn", TOKENS, {}),
    *[("layer_norm", shape, {"eps": Fraction(1, 1000)}) for shape in (IMAGE, TOKENS, VECTOR)],
    *[("layer_scale", shape, {"initial": Fraction(1, 3)}) for shape in (IMAGE, TOKENS, VECTOR)],
    *[(name, IMAGE, {}) for name in ACTIVATIONS],
    ("leaky_relu", TOKENS, {"slope": Fraction(1, 5)}),
    *[("softmax", shape, {}) for shape in (IMAGE, TOKENS, VECTOR)],
    ("dropout", TOKENS, {}),
    ("identity", IMAGE, {}),
    ("zero", VECTOR, {}),
    ("max_pool", IMAGE, {"kernel": 1, "kernel_width": 3, "stride": 2}),
    ("avg_pool", IMAGE, {"kernel": 3, "kernel_width": 2, "stride_width": 2}),
    ("max_pool", IMAGE, {"kernel": 2, "stride": 2, "ceil_mode": True}),
    ("avg_pool", IMAGE, {"kernel": 3, "stride": 3, "padding": 0, "ceil_mode": True}),
    *[(name, shape, {}) for name in ("global_pool", "global_max_pool") for shape in (IMAGE, TOKENS)],
    *[("slice", shape, {"start": 2, "stop": 5}) for shape in (IMAGE, TOKENS, VECTOR)],
    ("crop", IMAGE, {"top": 1, "left": 1}),
    ("crop", IMAGE, {"bottom": 2, "right": 3}),
    *[("channel_shuffle", shape, {"groups": 2}) for shape in (IMAGE, TOKENS, VECTOR)],
    ("resize", IMAGE, {"scale": 2}),
    ("resize", IMAGE, {"scale": Fraction(3, 2)}),
    ("resize", (2, 60, 55), {"scale": Fraction(3, 7)}),
    ("resize", (2, 60, 55), {"scale": Fraction(3, 5)}),
    ("resize", IMAGE, {"scale": 2, "bilinear": True}),
    ("resize", IMAGE, {"scale": Fraction(3, 7), "bilinear": True}),
    *[("flatten", shape, {}) for shape in (IMAGE, TOKENS)],
    ("tokens", IMAGE, {}),
    ("image", TOKENS, {"height": 3, "width": 3}),
    ("class_token", TOKENS, {}),
    ("position_embedding", TOKENS, {}),
    ("token", TOKENS, {"index": 2}),
)


def case_name(case: Case) -> str:
    """A short name for a test's parameter."""
    op, shape, given = case
    return " ".join([op, "x".join(map(str, shape)), *[f"{name}={value}" for name, value in given.items()]])


def one_operator(op: str, shape: Dimensions, given: dict[str, Value]) -> Network:
    """A network of a single operator."""
    wiring = Wiring()
    return Network("one", wiring.build(wiring.put("op", op, wiring.enter(shape), **given)))


def squeeze_excite() -> Network:
    """A convolution, its channels weighed by a gate, which stands first in one product and last in another."""
    wiring = Wiring()
    start = wiring.put("conv", "conv", wiring.enter((3, 8, 6)), out=8, kernel=3)
    value = wiring.put("act", "hswish", wiring.put("bn", "bn", start))
    gate = wiring.put("squeeze", "linear", wiring.put("pool", "global_pool", value), out=4)
    gate = wiring.put("excite", "linear", wiring.put("relu", "relu", gate), out=8)
    gate = wiring.put("gate", "hsigmoid", gate)
    value = wiring.put("after", "relu6", wiring.put("mul", "mul", value, gate))
    again = wiring.put("again", "conv", value, out=8, kernel=1)
    place = wiring.put("place", "sigmoid", wiring.put("spatial", "conv", value, out=1, kernel=3))
    value = wiring.put("both", "mul", gate, again, place)
    return Network("squeeze_excite", wiring.build(wiring.put("sum", "add", value, start)))


def transformer(
    size: int = 8, patch: int = 4, width: int = 12, heads: int = 3, depth: int = 2, classes: int = 5
) -> Network:
    """A vision transformer as DeiT's (Touvron et al. 2021)."""
    wiring = Wiring()
    value = wiring.put(
        "patch",
        "conv",
        wiring.enter((3, size, size)),
        out=width,
        kernel=patch,
        stride=patch,
        padding=0,
        bias=True,
    )
    value = wiring.put("class", "class_token", wiring.put("tokens", "tokens", value))
    value = wiring.put("positions", "position_embedding", value)
    for index in range(depth):
        wiring.prefix = f"block{index}."
        value = _transformer_block(wiring, value, width, heads)
    wiring.prefix = ""
    value = wiring.put("token", "token", wiring.put("norm", "layer_norm", value))
    return Network("transformer", wiring.build(wiring.put("head", "linear", value, out=classes)))


def _transformer_block(wiring: Wiring, value: str, width: int, heads: int) -> str:
    joint = wiring.put("qkv", "linear", wiring.put("norm1", "layer_norm", value), out=3 * width)
    parts = [
        wiring.put(name, "slice", joint, start=index * width, stop=(index + 1) * width)
        for index, name in enumerate(("queries", "keys", "values"))
    ]
    mixed = wiring.put(
        "project", "linear", wiring.put("attention", "attention", *parts, heads=heads), out=width
    )
    value = wiring.put("add1", "add", value, mixed)
    inner = wiring.put("up", "linear", wiring.put("norm2", "layer_norm", value), out=4 * width)
    inner = wiring.put("down", "linear", wiring.put("gelu", "gelu", inner), out=width)
    return wiring.put("add2", "add", value, inner)


def token_mixer() -> Network:
    """Attention written out, tokens back to an image, a mean over tokens, a factor for each channel of tokens."""
    wiring = Wiring()
    tokens = wiring.put("tokens", "tokens", wiring.enter((6, 3, 2)))
    scores = wiring.put("scores", "softmax", wiring.put("look", "linear", tokens, out=6))
    mixed = wiring.put("mixed", "matmul", scores, tokens)
    gate = wiring.put("gate", "sigmoid", wiring.put("mean", "global_pool", mixed))
    value = wiring.put("norm", "bn", wiring.put("gated", "mul", gate, mixed))
    value = wiring.put("scaled", "layer_scale", wiring.put("scored", "linear", value, out=6), initial=1)
    return Network("token_mixer", wiring.build(wiring.put("image", "image", value, height=3, width=2)))


def convnext() -> Network:
    """A block of ConvNeXt (Liu et al. 2022): norm over channels of an image, layer scale, residual."""
    wiring = Wiring()
    start = wiring.put(
        "stem", "conv", wiring.enter((3, 8, 8)), out=8, kernel=2, stride=2, padding=0, bias=True
    )
    value = wiring.put("depthwise", "depthwise", start, kernel=7, bias=True)
    value = wiring.put("up", "conv", wiring.put("norm", "layer_norm", value), out=32, kernel=1, bias=True)
    value = wiring.put("down", "conv", wiring.put("gelu", "gelu", value), out=8, kernel=1)
    value = wiring.put("scale", "layer_scale", value, initial=Fraction(1, 2))
    value = wiring.put("add", "add", start, value)
    alone = wiring.put("alone", "layer_scale", wiring.put("relu", "relu", value))
    return Network("convnext", wiring.build(wiring.put("pool", "global_max_pool", alone)))


def decoder() -> Network:
    """Down, and up again twice; channels split and shuffled as in ShuffleNet V2; rows and columns taken off."""
    wiring = Wiring()
    start = wiring.put("start", "conv", wiring.enter((3, 8, 8)), out=8, kernel=1, bias=True)
    small = wiring.put("small", "max_pool", start, kernel=2, stride=2)
    left = wiring.put("left", "slice", small, start=0, stop=4)
    right = wiring.put("right", "slice", small, start=4, stop=8)
    right = wiring.put("tanh", "tanh", wiring.put("conv", "depthwise", right, kernel=3))
    value = wiring.put("shuffle", "channel_shuffle", wiring.put("join", "concat", left, right), groups=2)
    up = wiring.put("up", "conv_transpose", value, out=8, kernel=4, stride=2, groups=2)
    up = wiring.put("bn", "bn", up)
    grown = wiring.put("grown", "resize", value, scale=2)
    smooth = wiring.put("smooth", "resize", value, scale=2, bilinear=True)
    value = wiring.put("crop", "crop", wiring.put("sum", "add", up, grown, smooth), top=1, right=2)
    flat = wiring.put("flat", "flatten", wiring.put("leaky", "leaky_relu", value))
    return Network("decoder", wiring.build(wiring.put("head", "linear", flat, out=5)))


NETWORKS: tuple[Callable[..., Network], ...] = (squeeze_excite, transformer, token_mixer, convnext, decoder)


def randomised(module: Any, seed: int = 0) -> Any:
    """The module with statistics and weights of its own, so that folding and scaling have something to do."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            drawn = torch.randn(tensor.shape, generator=generator) * 0.5
            tensor.copy_(drawn.abs() + 0.5 if name.endswith("running_var") else drawn)
    return module
