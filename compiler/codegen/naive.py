"""The same network as plain Relax operators, for TVM's default pipeline: what "untuned" is measured on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from compiler.codegen.to_relax import interface
from compiler.codegen.tvm_api import Expr, relax
from compiler.ir.types import Dimensions
from compiler.kernel import Step

if TYPE_CHECKING:
    from compiler.passes.fuse import KernelCall, Plan

Array = np.ndarray[Any, Any]
_FLOAT = "float32"


def naive_module(plan: Plan, parameters: Mapping[str, Array]) -> Any:
    """The plan as a Relax module of TVM's own operators, channels last inside, `main` as in `to_relax`.

    Raises:
        ValueError: the plan has not exactly one input.
        KeyError: a node without a weight.
    """
    if len(plan.inputs) != 1:
        raise ValueError(f"a network to compile has one input, not {len(plan.inputs)}")
    name = plan.inputs[0]
    builder = relax.BlockBuilder()
    source = relax.Var("input", relax.TensorType(interface(plan.types[name]), _FLOAT))
    with builder.function("main", [source]):
        with builder.dataflow():
            values = {name: builder.emit(_inwards(source, plan.types[name]))}
            for call in plan.calls:
                values[call.output] = _call(builder, call, values, parameters)
            result = builder.emit_output(_outwards(values[plan.output], plan.types[plan.output]))
        builder.emit_func_output(result)
    return builder.get()


def naive_kernel(call: KernelCall, parameters: Mapping[str, Array]) -> Any:
    """One call as a Relax module by itself; its inputs and its result are channels last.

    Raises:
        KeyError: a node without a weight.
    """
    builder = relax.BlockBuilder()
    shapes = [_inside(shape) for shape in call.kernel.inputs]
    sources = [
        relax.Var(f"input{index}", relax.TensorType(shape, _FLOAT)) for index, shape in enumerate(shapes)
    ]
    with builder.function("main", sources):
        with builder.dataflow():
            values = dict(zip(call.inputs, sources, strict=True))
            result = builder.emit_output(_call(builder, call, values, parameters))
        builder.emit_func_output(result)
    return builder.get()


def _inside(shape: Dimensions) -> tuple[int, ...]:
    return (1, shape[1], shape[2], shape[0]) if len(shape) == 3 else (1, *shape)


def _inwards(value: Expr, shape: Dimensions) -> Expr:
    return relax.op.permute_dims(value, [0, 2, 3, 1]) if len(shape) == 3 else value


def _outwards(value: Expr, shape: Dimensions) -> Expr:
    return relax.op.permute_dims(value, [0, 3, 1, 2]) if len(shape) == 3 else value


def _call(
    builder: Any, call: KernelCall, values: Mapping[str, Expr], parameters: Mapping[str, Array]
) -> Expr:
    results = [values[name] for name in call.inputs]
    shapes = call.kernel.values
    for step, node in zip(call.kernel.steps, call.nodes, strict=True):
        operands = [results[index] for index in step.operands]
        weights = {
            name: parameters[f"{node}.{name}"]
            for name in ("weight", "bias")
            if f"{node}.{name}" in parameters
        }
        results.append(builder.emit(_step(step, operands, weights, shapes[step.operands[0]])))
    return results[-1]


def _step(step: Step, operands: list[Expr], weights: Mapping[str, Array], shape: Dimensions) -> Expr:
    settings = {name: int(value) for name, value in step.attributes if not isinstance(value, str)}
    if step.operator in ("conv", "depthwise"):
        return _convolution(step.operator, settings, operands[0], weights, shape[0])
    if step.operator == "linear":
        matrix = relax.const(np.ascontiguousarray(weights["weight"].T), _FLOAT)
        return _biased(relax.op.matmul(operands[0], matrix), weights)
    if step.operator in ("max_pool", "avg_pool"):
        return _pool(step.operator, settings, operands[0])
    return _PLAIN[step.operator](operands)


def _convolution(
    operator: str, settings: Mapping[str, int], value: Expr, weights: Mapping[str, Array], channels: int
) -> Expr:
    weight = relax.const(np.ascontiguousarray(weights["weight"].transpose(2, 3, 1, 0)), _FLOAT)
    result = relax.op.nn.conv2d(
        value,
        weight,
        strides=settings["stride"],
        padding=settings["padding"],
        dilation=settings["dilation"],
        groups=channels if operator == "depthwise" else settings["groups"],
        data_layout="NHWC",
        kernel_layout="HWIO",
    )
    return _biased(result, weights)


def _biased(value: Expr, weights: Mapping[str, Array]) -> Expr:
    return relax.op.add(value, relax.const(weights["bias"], _FLOAT)) if "bias" in weights else value


def _pool(operator: str, settings: Mapping[str, int], value: Expr) -> Expr:
    size, stride, padding = settings["kernel"], settings["stride"], settings["padding"]
    pool = relax.op.nn.max_pool2d if operator == "max_pool" else relax.op.nn.avg_pool2d
    return pool(
        value, pool_size=(size, size), strides=(stride, stride), padding=(padding, padding), layout="NHWC"
    )


def _number(value: float) -> Expr:
    return relax.const(np.float32(value), _FLOAT)


def _hsigmoid(value: Expr) -> Expr:
    return relax.op.multiply(relax.op.clip(relax.op.add(value, _number(3)), 0, 6), _number(1 / 6))


def _fold(function: Callable[[Expr, Expr], Expr]) -> Callable[[list[Expr]], Expr]:
    def apply(operands: list[Expr]) -> Expr:
        result = operands[0]
        for operand in operands[1:]:
            result = function(result, operand)
        return result

    return apply


_PLAIN: Mapping[str, Callable[[list[Expr]], Expr]] = {
    "relu": lambda x: relax.op.nn.relu(x[0]),
    "relu6": lambda x: relax.op.clip(x[0], 0, 6),
    "sigmoid": lambda x: relax.op.sigmoid(x[0]),
    "swish": lambda x: relax.op.nn.silu(x[0]),
    "gelu": lambda x: relax.op.nn.gelu(x[0]),
    "hsigmoid": lambda x: _hsigmoid(x[0]),
    "hswish": lambda x: relax.op.multiply(x[0], _hsigmoid(x[0])),
    "identity": lambda x: x[0],
    "zero": lambda x: relax.op.multiply(x[0], _number(0)),
    "add": _fold(relax.op.add),
    "mul": _fold(relax.op.multiply),
    "concat": lambda x: relax.op.concat(x, axis=-1),
    "global_pool": lambda x: relax.op.mean(x[0], axis=[1, 2]),
}
