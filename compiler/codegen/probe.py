"""Functions that measure: kernels among evicted caches, the peak of the arithmetic units, memory bandwidth.

A kernel that is timed on the same buffers again and again finds everything in the cache, and so is faster
than it will be in a network. The probe runs kernels as a network does: before each run it touches some
cache lines of other memory, then writes the kernel's inputs, as the kernel before it would have done.
Several kernels in one probe keep each other company: between two runs of one of them the others' code and
constants pass through the caches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import prod

from compiler.codegen.memory import ALIGNMENT
from compiler.codegen.schedules.emit import FLOAT, Emitter, address, broadcast, load, number, round_up
from compiler.codegen.schedules.template import Schedule, packed_size
from compiler.codegen.to_relax import kernel_function
from compiler.codegen.tvm_api import Expr, Statement, ir, tirx
from compiler.kernel import Kernel
from compiler.target import Target

PROBE, PEAK, READ = "onepath_probe", "onepath_peak", "onepath_read"
LINE = 16
"""fp32 values of a cache line."""
CHAINS = 24
"""Independent multiply-adds in flight: enough for two units of latency 4, few enough for 32 registers."""


@dataclass(frozen=True)
class Probe:
    """The probe's functions; `memory` is the size in fp32 values of the array that it works on, of which
    the first `activations` are written by it and the rest are the kernels' constants."""

    functions: Mapping[Expr, Statement]
    activations: int
    memory: int


def probe(kernels: Sequence[tuple[Kernel, Schedule]], target: Target) -> Probe:
    """A function `onepath_probe(memory, sweep, times, lines, repeats)` that runs all kernels in turn.

    `times` is int64 [repeats * (kernels + 1)], in nanoseconds; the last column is the time of reading the
    clock, which is part of all the others. Each kernel has `lines` cache lines of `sweep` to itself.
    """
    written = [kernel_function(kernel, schedule, target) for kernel, schedule in kernels]
    variables = {symbol: ir.GlobalVar(symbol) for symbol, _ in written}
    functions = {variables[symbol]: function for symbol, function in written}
    activations = max(_places(kernel)[-1] for kernel, _ in kernels)
    *places, memory = accumulate((packed_size(kernel) for kernel, _ in kernels), initial=activations)
    arguments = {
        "memory": tirx.decl_buffer((memory,), FLOAT, "memory"),
        "sweep": tirx.decl_buffer((tirx.Var("room", "int32"),), FLOAT, "sweep"),
        "times": tirx.decl_buffer((tirx.Var("runs", "int32"),), "int64", "times"),
        "lines": tirx.Var("lines", "int32"),
        "repeats": tirx.Var("repeats", "int32"),
    }
    emitter = Emitter()
    clock, columns = emitter.clock(), len(kernels) + 1
    with emitter.loop(arguments["repeats"]) as turn:
        for index, (kernel, _) in enumerate(kernels):
            _prepare(emitter, kernel, index, arguments, target)
            begin = clock.read()
            pointers = [address(arguments["memory"], place) for place in _places(kernel)[:-1]]
            constants = address(arguments["memory"], places[index])
            emitter.call(variables[written[index][0]], [*pointers[:-1], constants, pointers[-1]])
            emitter.store(arguments["times"], turn * columns + index, clock.read() - begin)
        begin = clock.read()
        emitter.store(arguments["times"], turn * columns + len(kernels), clock.read() - begin)
    body = tirx.PrimFunc(list(arguments.values()), emitter.body()).with_attr("global_symbol", PROBE)
    return Probe({**functions, ir.GlobalVar(PROBE): body}, activations, memory)


def _places(kernel: Kernel) -> list[int]:
    """Where the inputs and the result start, and where the result ends."""
    sizes = [round_up(prod(shape), ALIGNMENT) for shape in (*kernel.inputs, kernel.output)]
    return list(accumulate(sizes, initial=0))


def _prepare(
    emitter: Emitter, kernel: Kernel, index: int, arguments: Mapping[str, Expr], target: Target
) -> None:
    """Touch other memory, then write the inputs, the first of them last: it is the freshest in a network."""
    lanes = min(target.lanes, LINE)
    sweep, memory, lines = arguments["sweep"], arguments["memory"], arguments["lines"]
    with emitter.loop(lines) as line:
        place = (lines * index + line) * LINE
        emitter.store(sweep, place, load(sweep, place, lanes) + number(1.0, lanes), lanes)
    for shape, place in reversed(list(zip(kernel.inputs, _places(kernel), strict=False))):
        with emitter.loop(round_up(prod(shape), ALIGNMENT) // lanes) as vector:
            emitter.store(memory, place + vector * lanes, number(0.5, lanes), lanes)


def peak(target: Target) -> dict[Expr, Statement]:
    """A function `onepath_peak(values, times, turns)`: `turns` times CHAINS vector multiply-adds.

    `values` is fp32 [(CHAINS + 1) * lanes]; the time in nanoseconds goes to `times[0]`.
    """
    emitter, lanes = Emitter(), target.lanes
    values = tirx.decl_buffer(((CHAINS + 1) * lanes,), FLOAT, "values")
    times = tirx.decl_buffer((1,), "int64", "times")
    turns = tirx.Var("turns", "int32")
    clock = emitter.clock()
    begin = clock.read()
    factor = emitter.let(load(values, CHAINS * lanes, lanes))
    chains = [emitter.register(load(values, chain * lanes, lanes), lanes) for chain in range(CHAINS)]
    with emitter.loop(turns):
        for chain in chains:
            chain.set(chain.get() * factor + factor)
    for index, chain in enumerate(chains):
        emitter.store(values, index * lanes, chain.get(), lanes)
    emitter.store(times, 0, clock.read() - begin)
    function = tirx.PrimFunc([values, times, turns], emitter.body()).with_attr("global_symbol", PEAK)
    return {ir.GlobalVar(PEAK): function}


def read(target: Target, size: int) -> dict[Expr, Statement]:
    """A function `onepath_read(data, sums, times)` that adds up `size` fp32 values, a multiple of 256."""
    emitter, lanes = Emitter(), min(target.lanes, LINE)
    data = tirx.decl_buffer((size,), FLOAT, "data")
    sums = tirx.decl_buffer((LINE * LINE,), FLOAT, "sums")
    times = tirx.decl_buffer((1,), "int64", "times")
    clock = emitter.clock()
    begin = clock.read()
    chains = [emitter.register(broadcast(number(0.0), lanes), lanes) for _ in range(8)]
    step = lanes * len(chains)
    with emitter.loop(size // step) as turn:
        for index, chain in enumerate(chains):
            chain.set(chain.get() + load(data, turn * step + index * lanes, lanes))
    for index, chain in enumerate(chains):
        emitter.store(sums, index * lanes, chain.get(), lanes)
    emitter.store(times, 0, clock.read() - begin)
    function = tirx.PrimFunc([data, sums, times], emitter.body()).with_attr("global_symbol", READ)
    return {ir.GlobalVar(READ): function}
