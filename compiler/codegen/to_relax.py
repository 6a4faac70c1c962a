"""A plan with its weights and schedules as a Relax module: one TIR function per kernel, one for the network.

`main` calls the network's function once, with the input, all packed constants in one array, and the
result. That function calls the kernels one after another on a workspace that is planned here, so a run
costs no allocation and no dispatch beside the kernels themselves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from compiler.codegen.arrangement import Arrangement
from compiler.codegen.schedules import template_named
from compiler.codegen.schedules.emit import FLOAT, Emitter, address, view
from compiler.codegen.schedules.layout import turn
from compiler.codegen.schedules.template import Schedule, packed_size, write_function
from compiler.codegen.tvm_api import Expr, Statement, ir, lower_relax, relax, tirx
from compiler.ir.types import Dimensions
from compiler.kernel import Kernel
from compiler.target import Target

if TYPE_CHECKING:
    from compiler.passes.fuse import KernelCall, Plan

Array = np.ndarray[Any, Any]
Parameters = Mapping[str, Array]
Schedules = Mapping[str, Schedule]
"""The schedule of every kernel, by signature."""

MAIN, NETWORK = "main", "onepath_network"


@dataclass(frozen=True)
class Lowered:
    """What a network becomes: its kernels' functions by global variable, its own, and all packed constants."""

    kernels: Mapping[Expr, Statement]
    network: Statement
    constants: Array
    input: Dimensions
    output: Dimensions
    workspace: int


def symbol_of(kernel: Kernel, schedule: Schedule, prefix: str = "onepath") -> str:
    """The name of a kernel's function: equal names are equal code."""
    text = f"{kernel.signature}|{schedule.text}"
    return f"{prefix}_" + hashlib.sha256(text.encode()).hexdigest()[:16]


def kernel_function(
    kernel: Kernel, schedule: Schedule, target: Target, prefix: str = "onepath"
) -> tuple[str, Statement]:
    """The symbol and the TIR function of one kernel.

    Raises:
        ValueError: the schedule is of an unknown template.
    """
    template = template_named(schedule.template)
    symbol = symbol_of(kernel, schedule, prefix)
    return symbol, write_function(template, kernel, dict(schedule.parameters), target, symbol)


def pack(
    kernel: Kernel, schedule: Schedule, target: Target, weights: Mapping[tuple[int, str], Array]
) -> Array:
    """A kernel's constants as its code reads them, `packed_size(kernel)` fp32 values.

    Raises:
        ValueError: a weight has not the shape that the kernel states.
    """
    for step, name, shape in kernel.weights:
        found = weights[step, name].shape
        if tuple(found) != tuple(shape):
            raise ValueError(f"{name} of step {step} is {found}, not {shape}: {kernel.signature}")
    template = template_named(schedule.template)
    flat = template.pack(kernel, dict(schedule.parameters), target, weights)
    return np.pad(flat, (0, packed_size(kernel) - flat.size))


def lower(
    plan: Plan, parameters: Parameters, schedules: Schedules, target: Target, *, timed: bool = False
) -> Lowered:
    """All functions of the network, with the packed constants.

    A timed network has one more argument, an array of int64 with one more element than there are calls:
    the clock in nanoseconds before the first kernel and after each.

    Raises:
        KeyError: a kernel without a schedule, or a node without a weight; it names the key.
        ValueError: the plan has not exactly one input, or computes nothing.
    """
    check_plan(plan)
    writer = _Network(plan, schedules, target)
    constants = packed_constants(plan, parameters, schedules, target)
    network = writer.write(constants.size, timed)
    shapes = plan.types[plan.inputs[0]], plan.types[plan.output]
    return Lowered(writer.functions, network, constants, *shapes, writer.arrangement.workspace)


def check_plan(plan: Plan) -> None:
    """Refuse what is not compiled.

    Raises:
        ValueError: the plan has not exactly one input, or computes nothing.
    """
    if len(plan.inputs) != 1:
        raise ValueError(f"a network to compile has one input, not {len(plan.inputs)}")
    if not plan.calls:
        raise ValueError("the network computes nothing: its result is its input")


def packed_constants(plan: Plan, parameters: Parameters, schedules: Schedules, target: Target) -> Array:
    """The constants of all calls in their order, fp32, each call's `packed_size` values.

    Raises:
        KeyError: a kernel without a schedule, or a node without a weight; it names the key.
    """
    return np.concatenate([_constants(call, parameters, schedules, target) for call in plan.calls])


def _constants(call: KernelCall, parameters: Parameters, schedules: Schedules, target: Target) -> Array:
    weights = {
        (step, name): np.asarray(parameters[f"{call.nodes[step]}.{name}"], dtype=np.float32)
        for step, name, _ in call.kernel.weights
    }
    return pack(call.kernel, schedules[call.kernel.signature], target, weights)


class _Network:
    """Writes the function that calls the kernels."""

    def __init__(self, plan: Plan, schedules: Schedules, target: Target) -> None:
        self.plan, self.target = plan, target
        self.source = plan.inputs[0]
        self.functions: dict[Expr, Statement] = {}
        self.variables: dict[str, Expr] = {}
        for signature, kernel in plan.kernels.items():
            symbol, function = kernel_function(kernel, schedules[signature], target)
            self.variables[signature] = ir.GlobalVar(symbol)
            self.functions[self.variables[signature]] = function
        self.arrangement = Arrangement(plan)

    def write(self, constants: int, timed: bool) -> Statement:
        """The function: input, constants, result, and the times if it is timed."""
        plan, emitter = self.plan, Emitter()
        given = tirx.decl_buffer(interface(plan.types[self.source]), FLOAT, "given")
        packed = tirx.decl_buffer((constants,), FLOAT, "constants")
        result = tirx.decl_buffer(interface(plan.types[plan.output]), FLOAT, "result")
        times = tirx.decl_buffer((len(plan.calls) + 1,), "int64", "times")
        workspace = emitter.workspace(max(self.arrangement.workspace, 1))
        clock = emitter.clock() if timed else None

        def pointer(name: str) -> Expr:
            place = self.arrangement.place(name)
            if place.home == "workspace":
                return address(workspace, place.offset)
            return _start(given if place.home == "input" else result)

        if self.source in self.arrangement.copied:
            self._turn(emitter, self.source, given, workspace)
        if clock is not None:
            clock.read_into(times, 0)
        place = 0
        for index, call in enumerate(plan.calls):
            function = self.variables[call.kernel.signature]
            values = [pointer(name) for name in (*call.inputs, call.output)]
            emitter.call(function, [*values[:-1], address(packed, place), values[-1]])
            place += packed_size(call.kernel)
            if clock is not None:
                clock.read_into(times, index + 1)
        if plan.output in self.arrangement.copied:
            self._turn(emitter, plan.output, result, workspace)
        buffers = [given, packed, result, *([times] if timed else [])]
        return tirx.PrimFunc(buffers, emitter.body()).with_attr("global_symbol", NETWORK)

    def _turn(self, emitter: Emitter, name: str, outside: Expr, workspace: Expr) -> None:
        """Copy the network's input into the workspace, or its result out of it, channels turned."""
        shape, place, lanes = self.plan.types[name], self.arrangement.place(name).offset, self.target.lanes
        flat = view(emitter, outside.data, prod(shape), f"{name}_flat")
        if name == self.source:
            turn(emitter, flat, 0, workspace, place, shape, lanes, inwards=True)
        else:
            turn(emitter, workspace, place, flat, 0, shape, lanes, inwards=False)


def interface(shape: Dimensions) -> tuple[int, ...]:
    """The shape at the bundle's interface: batch 1, channels before height and width."""
    return (1, *shape)


def _start(buffer: Expr) -> Expr:
    return tirx.address_of(tirx.BufferLoad(buffer, [0] * len(buffer.shape)))


def relax_module(lowered: Lowered) -> Any:
    """The Relax module whose `main` takes the input and gives the result."""
    shapes = [interface(lowered.input), interface(lowered.output)]
    given, result = (relax.TensorType(shape, FLOAT) for shape in shapes)
    builder = relax.BlockBuilder(ir.IRModule(dict(lowered.kernels)))
    network = builder.add_func(lowered.network, NETWORK)
    source = relax.Var("input", given)
    with builder.function(MAIN, [source]):
        constants = relax.const(lowered.constants, FLOAT)
        value = builder.emit(relax.call_tir(network, [source, constants], result))
        builder.emit_func_output(value)
    return builder.get()


def compile_network(lowered: Lowered, target: Target) -> Any:
    """The network as an executable of the Relax virtual machine, exporting `main`."""
    return lower_relax(relax_module(lowered), target)
