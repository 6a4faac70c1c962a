"""The same network as plain Relax operators, for TVM's default pipeline: what "untuned" is measured on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from compiler.codegen.naive_steps import Site, inside, write_step
from compiler.codegen.to_relax import interface
from compiler.codegen.tvm_api import Expr, relax
from compiler.ir.types import Dimensions

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
    shapes = [inside(shape) for shape in call.kernel.inputs]
    sources = [
        relax.Var(f"input{index}", relax.TensorType(shape, _FLOAT)) for index, shape in enumerate(shapes)
    ]
    with builder.function("main", sources):
        with builder.dataflow():
            values = dict(zip(call.inputs, sources, strict=True))
            result = builder.emit_output(_call(builder, call, values, parameters))
        builder.emit_func_output(result)
    return builder.get()


def _inwards(value: Expr, shape: Dimensions) -> Expr:
    return relax.op.permute_dims(value, [0, 2, 3, 1]) if len(shape) == 3 else value


def _outwards(value: Expr, shape: Dimensions) -> Expr:
    return relax.op.permute_dims(value, [0, 3, 1, 2]) if len(shape) == 3 else value


def _call(
    builder: Any, call: KernelCall, values: Mapping[str, Expr], parameters: Mapping[str, Array]
) -> Expr:
    results = [values[name] for name in call.inputs]
    shapes, count = call.kernel.values, len(call.inputs)
    for index, (step, node) in enumerate(zip(call.kernel.steps, call.nodes, strict=True)):
        operands = [results[operand] for operand in step.operands]
        named = {name: f"{node}.{name}" for name in ("weight", "bias")}
        weights = {name: parameters[key] for name, key in named.items() if key in parameters}
        taken = [shapes[operand] for operand in step.operands]
        site = Site(step, operands, weights, taken, shapes[count + index])
        results.append(builder.emit(write_step(site)))
    return results[-1]
