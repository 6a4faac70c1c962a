"""One operator as plain Relax, channels last; batches of one are in front."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from compiler.codegen.tvm_api import Expr, relax
from compiler.ir.ops import pair
from compiler.ir.types import Dimensions
from compiler.kernel import Step

Array = np.ndarray[Any, Any]
_FLOAT = "float32"


@dataclass(frozen=True, slots=True)
class Site:
    """A step to be written: its operands, its weights, and the dimensions of operands and result."""

    step: Step
    operands: Sequence[Expr]
    weights: Mapping[str, Array]
    shapes: Sequence[Dimensions]
    result: Dimensions

    @property
    def first(self) -> Expr:
        """The first operand."""
        return self.operands[0]

    def integer(self, name: str) -> int:
        """An integer attribute."""
        return int(self.step.settings[name])

    def constant(self, name: str) -> Expr:
        """A weight as it is."""
        return constant(self.weights[name])


def constant(value: Array) -> Expr:
    """An array as a constant."""
    return relax.const(np.ascontiguousarray(value, dtype=np.float32), _FLOAT)


def inside(shape: Dimensions) -> tuple[int, ...]:
    """The dimensions of a value inside a network."""
    return (1, shape[1], shape[2], shape[0]) if len(shape) == 3 else (1, *shape)


def write_step(site: Site) -> Expr:
    """The value of a step."""
    return _STEPS[site.step.operator](site)


def _number(value: float) -> Expr:
    return relax.const(np.float32(value), _FLOAT)


def _biased(value: Expr, site: Site) -> Expr:
    return relax.op.add(value, site.constant("bias")) if "bias" in site.weights else value


def _convolution(site: Site) -> Expr:
    settings = site.step.settings
    deep = site.step.operator == "depthwise"
    result = relax.op.nn.conv2d(
        site.first,
        constant(site.weights["weight"].transpose(2, 3, 1, 0)),
        strides=pair(settings, "stride"),
        padding=pair(settings, "padding"),
        dilation=site.integer("dilation"),
        groups=site.shapes[0][0] if deep else site.integer("groups"),
        data_layout="NHWC",
        kernel_layout="HWIO",
    )
    return _biased(result, site)


def _conv_transpose(site: Site) -> Expr:
    """TVM has it channels first only."""
    names = ("output_padding", "dilation", "groups")
    result = relax.op.nn.conv2d_transpose(
        relax.op.permute_dims(site.first, [0, 3, 1, 2]),
        constant(site.weights["weight"]),
        strides=pair(site.step.settings, "stride"),
        padding=pair(site.step.settings, "padding"),
        **{name: site.integer(name) for name in names},
    )
    return _biased(relax.op.permute_dims(result, [0, 2, 3, 1]), site)


def _linear(site: Site) -> Expr:
    return _biased(relax.op.matmul(site.first, constant(site.weights["weight"].T)), site)


def _layer_norm(site: Site) -> Expr:
    eps = float(site.step.settings["eps"])
    weights = site.constant("weight"), site.constant("bias")
    return relax.op.nn.layer_norm(site.first, *weights, axes=[-1], epsilon=eps)


def _pool(function: Callable[..., Expr]) -> Callable[[Site], Expr]:
    def write(site: Site) -> Expr:
        settings = site.step.settings
        size, stride, padding = (pair(settings, name) for name in ("kernel", "stride", "padding"))
        ceil = bool(settings.get("ceil_mode"))
        return function(
            site.first, pool_size=size, strides=stride, padding=padding, ceil_mode=ceil, layout="NHWC"
        )

    return write


def _global(function: Callable[..., Expr]) -> Callable[[Site], Expr]:
    return lambda site: function(site.first, axis=[1, 2] if len(site.shapes[0]) == 3 else [1])


def _hsigmoid(value: Expr) -> Expr:
    return relax.op.multiply(relax.op.clip(relax.op.add(value, _number(3)), 0, 6), _number(1 / 6))


def _elu(value: Expr) -> Expr:
    below = relax.op.exp(relax.op.minimum(value, _number(0)))
    return relax.op.add(relax.op.nn.relu(value), relax.op.subtract(below, _number(1)))


def _leaky_relu(site: Site) -> Expr:
    return relax.op.nn.leakyrelu(site.first, float(site.step.settings["slope"]))


def _slice(site: Site) -> Expr:
    axis, start, stop = len(site.shapes[0]), site.integer("start"), site.integer("stop")
    return relax.op.strided_slice(site.first, [axis], [start], [stop])


def _crop(site: Site) -> Expr:
    starts = [site.integer("top"), site.integer("left")]
    stops = [start + size for start, size in zip(starts, site.result[1:], strict=True)]
    return relax.op.strided_slice(site.first, [1, 2], starts, stops)


def _channel_shuffle(site: Site) -> Expr:
    *places, channels = inside(site.result)
    groups, rank = site.integer("groups"), len(places)
    grouped = relax.op.reshape(site.first, (*places, groups, channels // groups))
    mixed = relax.op.permute_dims(grouped, [*range(rank), rank + 1, rank])
    return relax.op.reshape(mixed, (*places, channels))


def _resize(site: Site) -> Expr:
    value, scale = site.first, Fraction(site.step.settings["scale"])
    for axis, (size, extent) in enumerate(zip(site.shapes[0][1:], site.result[1:], strict=True), start=1):
        places = np.arange(extent)
        if site.step.settings["bilinear"]:
            value = _between(value, axis, np.maximum((places + 0.5) / float(scale) - 0.5, 0), size)
        else:
            value = _rows(value, axis, places * scale.denominator // scale.numerator)
    return value


def _rows(value: Expr, axis: int, places: Array) -> Expr:
    return relax.op.take(value, relax.const(places.astype(np.int64), "int64"), axis=axis, mode="clip")


def _between(value: Expr, axis: int, places: Array, size: int) -> Expr:
    first = places.astype(np.int64)
    shape = [1] * 4
    shape[axis] = len(places)
    part = (places - first).reshape(shape)
    near = relax.op.multiply(_rows(value, axis, first), constant(1 - part))
    far = relax.op.multiply(_rows(value, axis, np.minimum(first + 1, size - 1)), constant(part))
    return relax.op.add(near, far)


def _flatten(site: Site) -> Expr:
    image = len(site.shapes[0]) == 3
    value = relax.op.permute_dims(site.first, [0, 3, 1, 2]) if image else site.first
    return relax.op.reshape(value, inside(site.result))


def _reshape(site: Site) -> Expr:
    return relax.op.reshape(site.first, inside(site.result))


def _attention(site: Site) -> Expr:
    heads = site.integer("heads")
    split = [
        relax.op.permute_dims(
            relax.op.reshape(value, (1, shape[0], heads, shape[1] // heads)),
            [0, 2, 3, 1] if index == 1 else [0, 2, 1, 3],
        )
        for index, (value, shape) in enumerate(zip(site.operands, site.shapes, strict=True))
    ]
    scale = _number(1 / math.sqrt(site.shapes[0][1] // heads))
    scores = relax.op.multiply(relax.op.matmul(split[0], split[1]), scale)
    mixed = relax.op.matmul(relax.op.nn.softmax(scores, axis=-1), split[2])
    return relax.op.reshape(relax.op.permute_dims(mixed, [0, 2, 1, 3]), inside(site.result))


def _class_token(site: Site) -> Expr:
    token = constant(site.weights["weight"].reshape(1, 1, -1))
    return relax.op.concat([token, site.first], axis=1)


def _token(site: Site) -> Expr:
    index = site.integer("index")
    return relax.op.reshape(
        relax.op.strided_slice(site.first, [1], [index], [index + 1]), inside(site.result)
    )


def _fold(function: Callable[[Expr, Expr], Expr]) -> Callable[[Site], Expr]:
    def write(site: Site) -> Expr:
        result = site.first
        for operand in site.operands[1:]:
            result = function(result, operand)
        return result

    return write


def _plain(function: Callable[[Expr], Expr]) -> Callable[[Site], Expr]:
    return lambda site: function(site.first)


_STEPS: Mapping[str, Callable[[Site], Expr]] = {
    "conv": _convolution,
    "depthwise": _convolution,
    "conv_transpose": _conv_transpose,
    "linear": _linear,
    "layer_norm": _layer_norm,
    "relu": _plain(relax.op.nn.relu),
    "relu6": _plain(lambda value: relax.op.clip(value, 0, 6)),
    "sigmoid": _plain(relax.op.sigmoid),
    "hsigmoid": _plain(_hsigmoid),
    "hswish": _plain(lambda value: relax.op.multiply(value, _hsigmoid(value))),
    "swish": _plain(relax.op.nn.silu),
    "gelu": _plain(relax.op.nn.gelu),
    "tanh": _plain(relax.op.tanh),
    "elu": _plain(_elu),
    "leaky_relu": _leaky_relu,
    "softmax": _plain(lambda value: relax.op.nn.softmax(value, axis=-1)),
    "identity": _plain(lambda value: value),
    "zero": _plain(lambda value: relax.op.multiply(value, _number(0))),
    "max_pool": _pool(relax.op.nn.max_pool2d),
    "avg_pool": _pool(relax.op.nn.avg_pool2d),
    "global_pool": _global(relax.op.mean),
    "global_max_pool": _global(relax.op.max),
    "slice": _slice,
    "crop": _crop,
    "channel_shuffle": _channel_shuffle,
    "resize": _resize,
    "flatten": _flatten,
    "tokens": _reshape,
    "image": _reshape,
    "attention": _attention,
    "matmul": lambda site: relax.op.matmul(site.first, site.operands[1]),
    "class_token": _class_token,
    "position_embedding": lambda site: relax.op.add(site.first, site.constant("weight")),
    "token": _token,
    "add": _fold(relax.op.add),
    "mul": _fold(relax.op.multiply),
    "concat": lambda site: relax.op.concat(list(site.operands), axis=-1),
}
