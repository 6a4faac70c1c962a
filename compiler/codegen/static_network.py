"""A network without TVM's runtime: its functions, the calls of them in order, and all the memory they work on.

A derived network's schedule is static, so the calls, the place of every value and the constants are known here;
`to_c.py` writes them down as C.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Literal

from compiler.codegen.arrangement import Arrangement, Place
from compiler.codegen.schedules.emit import Emitter, integer, on_cpu, pointer, sequence, view
from compiler.codegen.schedules.layout import same_in_memory, turn
from compiler.codegen.schedules.template import packed_size
from compiler.codegen.scratch import scratch_bytes
from compiler.codegen.to_relax import (
    Array,
    Parameters,
    Schedules,
    check_plan,
    kernel_function,
    packed_constants,
)
from compiler.codegen.tvm_api import Expr, Statement, ir, statements, tirx
from compiler.ir.types import Dimensions
from compiler.kernel import FP32_BYTES
from compiler.target import Target

if TYPE_CHECKING:
    from compiler.passes.fuse import KernelCall, Plan

COPY = "memcpy"


@dataclass(frozen=True, slots=True)
class Constants:
    """The constants of a call: how many fp32 values behind the first."""

    offset: int


@dataclass(frozen=True, slots=True)
class Call:
    """One call: a function of the network's own, or `memcpy` of `copied` fp32 values; `about` says what it computes."""

    function: str
    inputs: tuple[Place | Constants, ...]
    output: Place
    about: str
    copied: int = 0


@dataclass(frozen=True)
class StaticNetwork:
    """The functions by global variable, the calls in order, the packed constants, and the sizes of the memory.

    `workspace` counts fp32 values; `scratch` is what a thread needs besides while a kernel runs, in bytes.
    """

    functions: Mapping[Expr, Statement]
    calls: tuple[Call, ...]
    constants: Array
    input: Dimensions
    output: Dimensions
    workspace: int
    scratch: int


def static_network(
    plan: Plan, parameters: Parameters, schedules: Schedules, target: Target, name: str
) -> StaticNetwork:
    """The network whose functions begin with `name`.

    Raises:
        KeyError: a kernel without a schedule, or a node without a weight; it names the key.
        ValueError: the plan has not exactly one input, or computes nothing.
    """
    check_plan(plan)
    arrangement = Arrangement(plan, copied=True)
    symbols, functions = {}, {}
    for signature, kernel in plan.kernels.items():
        symbols[signature], function = kernel_function(kernel, schedules[signature], target, name)
        functions[ir.GlobalVar(symbols[signature])] = function
    ends = plan.types[plan.inputs[0]], plan.types[plan.output]
    for direction, shape in zip(("in", "out"), ends, strict=True):
        if not same_in_memory(shape):
            symbol = f"{name}_turn_{direction}"
            functions[ir.GlobalVar(symbol)] = _turning(symbol, shape, target.lanes, direction == "in")
    return StaticNetwork(
        functions,
        (
            _entry(plan, arrangement, name),
            *_calls(plan, arrangement, symbols),
            _exit(plan, arrangement, name),
        ),
        packed_constants(plan, parameters, schedules, target),
        *ends,
        arrangement.workspace,
        max(scratch_bytes(function) for function in functions.values()),
    )


def _calls(plan: Plan, arrangement: Arrangement, symbols: Mapping[str, str]) -> Iterator[Call]:
    offset = 0
    for call in plan.calls:
        inputs = [arrangement.place(value) for value in call.inputs]
        output = arrangement.place(call.output)
        yield Call(symbols[call.kernel.signature], (*inputs, Constants(offset)), output, _about(call))
        offset += packed_size(call.kernel)


def _about(call: KernelCall) -> str:
    return ", ".join(call.nodes)


def _entry(plan: Plan, arrangement: Arrangement, name: str) -> Call:
    source = plan.inputs[0]
    return _copy(plan.types[source], f"{name}_turn_in", Place("input"), arrangement.place(source))


def _exit(plan: Plan, arrangement: Arrangement, name: str) -> Call:
    result = plan.output
    return _copy(plan.types[result], f"{name}_turn_out", arrangement.place(result), Place("output"))


def _copy(shape: Dimensions, function: str, source: Place, result: Place) -> Call:
    """Between the interface and the workspace."""
    which: Literal["input", "output"] = "input" if source.home == "input" else "output"
    if same_in_memory(shape):
        return Call(COPY, (source,), result, f"the {which}", prod(shape))
    return Call(function, (source,), result, f"the {which}, channels turned")


def _turning(symbol: str, shape: Dimensions, lanes: int, inwards: bool) -> Statement:
    """The function `symbol(source, result)` that turns an image's channels last, or first; it returns 0.

    What lies outside of the workspace may be aligned as any fp32 value is.
    """
    emitter, size = Emitter(), prod(shape)
    data = [pointer(name) for name in ("source", "result")]
    source, result = (view(emitter, each, size, name) for each, name in zip(data, ("a", "b"), strict=True))
    turn(emitter, source, 0, result, 0, shape, lanes, inwards)
    outside = data[0] if inwards else data[1]
    body = statements.AttrStmt(outside, "storage_alignment", integer(FP32_BYTES), emitter.body())
    function = tirx.PrimFunc(
        data, sequence([on_cpu(body), statements.Return(integer(0))]), ret_type=ir.PrimType("int32")
    )
    return (
        function.with_attr("global_symbol", symbol)
        .with_attr("calling_conv", 1)
        .with_attr("tirx.noalias", True)
    )
