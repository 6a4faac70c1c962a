"""Compile kernels together and run each once in this process."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from math import prod

import numpy as np

from compiler.codegen import tvm_api
from compiler.codegen.schedules.emit import address, call
from compiler.codegen.schedules.template import Schedule, packed_size
from compiler.codegen.to_relax import kernel_function, pack
from compiler.codegen.tvm_api import ir, statements, tirx
from compiler.kernel import Kernel
from compiler.target import Target
from tests.compiler.codegen.reference import Array, Weights, channels_last

Case = tuple[Kernel, Schedule]


def call_again(case: Case, target: Target, times: int) -> None:
    """Run one kernel so many times on the same arrays."""
    kernel, schedule = case
    symbol, function = kernel_function(kernel, schedule, target)
    variable = ir.GlobalVar(symbol)
    sizes = [*map(prod, kernel.inputs), packed_size(kernel), prod(kernel.output)]
    buffers = [tirx.decl_buffer((size,), "float32", f"b{index}") for index, size in enumerate(sizes)]
    body = statements.Evaluate(call(variable, [address(buffer, 0) for buffer in buffers]))
    caller = tirx.PrimFunc(buffers, body).with_attr("global_symbol", "again")
    run = tvm_api.build({variable: function, ir.GlobalVar("again"): caller}, target)["again"]
    arrays = [tvm_api.array(np.zeros(size, dtype=np.float32)) for size in sizes]
    for _ in range(times):
        run(*arrays)


def call_kernels(
    cases: Sequence[Case], values: Sequence[tuple[list[Array], Weights]], target: Target
) -> list[Array]:
    """Each kernel's result, flat, channels last; what it does not write stays NaN."""
    functions = {}
    numbers = count()
    names = []
    for kernel, schedule in cases:
        symbol, function = kernel_function(kernel, schedule, target)
        variable = next((v for v in functions if v.name_hint == symbol), None) or ir.GlobalVar(symbol)
        functions[variable] = function
        sizes = [*map(prod, kernel.inputs), packed_size(kernel), prod(kernel.output)]
        buffers = [tirx.decl_buffer((size,), "float32", f"b{index}") for index, size in enumerate(sizes)]
        body = statements.Evaluate(call(variable, [address(buffer, 0) for buffer in buffers]))
        names.append(f"call_{next(numbers)}")
        functions[ir.GlobalVar(names[-1])] = tirx.PrimFunc(buffers, body).with_attr(
            "global_symbol", names[-1]
        )
    module = tvm_api.build(functions, target)
    results = []
    for name, (kernel, schedule), (inputs, weights) in zip(names, cases, values, strict=True):
        result = tvm_api.array(np.full(prod(kernel.output), np.nan, dtype=np.float32))
        arguments = [tvm_api.array(channels_last(value)) for value in inputs]
        module[name](*arguments, tvm_api.array(pack(kernel, schedule, target, weights)), result)
        results.append(result.numpy())
    return results
