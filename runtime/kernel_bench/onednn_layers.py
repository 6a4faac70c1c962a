"""How long oneDNN takes for each kernel of a network, called through PyTorch, channels last.

The kernels run one after another on each other's values, as in a network. A convolution takes its bias, the
activation and the residual with it where oneDNN can, its weights laid out beforehand: what `torch.compile` makes
of it, too. What else a kernel holds is an operator of PyTorch's own. What a call from Python costs is measured, on
one value, and taken off for each of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from compiler.ir.ops import pair
from compiler.passes.fuse import KernelCall, Plan
from runtime.kernel_bench.elsewhere import Ran
from runtime.peers.packages import version_of

if TYPE_CHECKING:
    from torch import Tensor

NAME = "oneDNN"
PACKAGES: tuple[str, ...] = ("torch",)
WARM_UP = 5
TOLERANCE = 1e-3
UNARY: Mapping[str, tuple[str, list[float]]] = {
    "relu": ("relu", []),
    "relu6": ("hardtanh", [0.0, 6.0]),
    "hswish": ("hardswish", []),
    "swish": ("swish", []),
    "sigmoid": ("sigmoid", []),
    "tanh": ("tanh", []),
}
"""What oneDNN takes into a convolution, by PyTorch's names, with its bounds."""

Compute = Callable[[Sequence["Tensor"]], "Tensor"]


class WrongAnswers(Exception):
    """The kernels run one by one do not give what the network gives."""


def version() -> str:
    """The version of PyTorch, which holds a oneDNN of its own."""
    return f"of torch {version_of(PACKAGES)}"


@dataclass(frozen=True)
class _Computed:
    """What runs a kernel, and by how many calls from Python: of convolutions and of other operators."""

    run: Compute
    convolutions: int
    others: int


def layers(model: Path, threads: int, image: Any, runs: int, folder: Path) -> list[Ran]:
    """The kernels one by one; what the calls from Python cost is their overhead.

    Raises:
        WrongAnswers: the kernels do not compute the network.
    """
    import torch

    from compiler.codegen.from_onnx import from_onnx, read_model
    from compiler.passes.fold import for_inference
    from compiler.passes.fuse import fuse
    from runtime.peers.conversion import torch_module

    torch.set_num_threads(threads)
    ready, weights = for_inference(*from_onnx(read_model(model)))
    plan, given = fuse(ready), torch.from_numpy(image)
    if given.ndim == 4:
        given = given.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        computes = [_compute(call, weights) for call in plan.calls]
        _check(_run(plan, computes, given)[0], torch_module(model)(given))
        times = [_run(plan, computes, given)[1] for _ in range(WARM_UP + runs)]
        convolution_us, other_us = _call_us(runs)
    medians = np.median(times[WARM_UP:], axis=0) / 1e3
    return [
        Ran(
            call.output,
            (call.output,),
            call.inputs,
            float(time_us),
            compute.convolutions * convolution_us + compute.others * other_us,
        )
        for call, compute, time_us in zip(plan.calls, computes, medians, strict=True)
    ]


def _call_us(runs: int) -> tuple[float, float]:
    """What a convolution and another operator of one value take: the call from Python, and its own preparations."""
    import torch

    value = torch.ones(1, 1, 1, 1).contiguous(memory_format=torch.channels_last)
    places: tuple[Any, ...] = ([0, 0], [1, 1], [1, 1], 1)
    weight = torch.ops.mkldnn._reorder_convolution_weight(torch.ones(1, 1, 1, 1), *places, [1, 1, 1, 1])
    given = (weight, torch.ones(1), *places)
    convolve = torch.ops.mkldnn._convolution_pointwise
    return (
        _median_us(lambda: convolve(value, *given, "none", [], ""), runs),
        _median_us(lambda: torch.sigmoid(value), runs),
    )


def _median_us(call: Callable[[], object], runs: int) -> float:
    times = []
    for _ in range(WARM_UP + runs):
        begin = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - begin)
    return float(np.median(times[WARM_UP:])) / 1e3


def _check(found: Tensor, expected: Tensor) -> None:
    error = float((found - expected).abs().max() / expected.abs().max())
    if not error <= TOLERANCE:
        raise WrongAnswers(f"its kernels give answers that differ from the network's by {error:.1e}")


def _run(plan: Plan, computes: Sequence[_Computed], image: Tensor) -> tuple[Tensor, list[int]]:
    """The output, and the nanoseconds of each call; each value is dropped after its last reader."""
    last = {name: place for place, call in enumerate(plan.calls) for name in call.inputs}
    values, times = {plan.inputs[0]: image}, []
    for place, (call, compute) in enumerate(zip(plan.calls, computes, strict=True)):
        operands = [values[name] for name in call.inputs]
        begin = time.perf_counter_ns()
        values[call.output] = compute.run(operands)
        times.append(time.perf_counter_ns() - begin)
        for name in {name for name in call.inputs if last[name] == place and name != plan.output}:
            del values[name]
    return values[plan.output], times


def _compute(call: KernelCall, weights: Mapping[str, Any]) -> _Computed:
    """What runs one kernel: its convolution with what oneDNN takes into it, then its other steps."""
    first, done = _convolution(call, weights)
    rest = [_step(call, index, weights) for index in range(done, len(call.kernel.steps))]

    def compute(operands: Sequence[Tensor]) -> Tensor:
        # The steps inside a fused convolution leave no values of their own.
        values = list(operands)
        if first is not None:
            values += [first(operands)] * done
        for step, run in zip(call.kernel.steps[done:], rest, strict=True):
            values.append(run([values[operand] for operand in step.operands]))
        return values[-1]

    return _Computed(compute, int(first is not None), len(rest))


def _step(call: KernelCall, index: int, weights: Mapping[str, Any]) -> Compute:
    """One step as PyTorch computes it."""
    from compiler.nets.forward import FORWARD

    step, own = call.kernel.steps[index], _weights(call, index, weights)
    forward = FORWARD[step.operator]
    settings = {name: value for name, value in step.attributes if isinstance(value, int | Fraction)}
    return lambda operands: forward(operands, own, settings, "evaluate")


def _weights(call: KernelCall, index: int, weights: Mapping[str, Any]) -> dict[str, Tensor]:
    import torch

    names = [name for step, name, _ in call.kernel.weights if step == index]
    return {name: torch.tensor(weights[f"{call.nodes[index]}.{name}"]) for name in names}


def _convolution(call: KernelCall, weights: Mapping[str, Any]) -> tuple[Compute | None, int]:
    """The kernel's first steps as one call of oneDNN, and how many they are; none where it is no convolution."""
    import torch

    kernel, own = call.kernel, _weights(call, 0, weights)
    step, settings = kernel.steps[0], kernel.steps[0].settings
    if step.operator not in ("conv", "depthwise"):
        return None, 0
    groups = int(settings.get("groups", kernel.inputs[0][0]))
    stride, padding = (list(pair(settings, name)) for name in ("stride", "padding"))
    dilation = [int(settings["dilation"])] * 2
    size = [1, *kernel.inputs[step.operands[0]]]
    packed = torch.ops.mkldnn._reorder_convolution_weight(
        own["weight"], padding, stride, dilation, groups, size
    )
    given = (packed, own.get("bias"), padding, stride, dilation, groups)
    following = [each.operator for each in kernel.steps[1:]]
    if following[:1] == ["add"] and len(kernel.steps[1].operands) == 2:
        return _with_residual(call, given), 2
    name, bounds = UNARY.get(following[0], ("none", [])) if following else ("none", [])
    run = torch.ops.mkldnn._convolution_pointwise
    source = step.operands[0]
    return (lambda operands: run(operands[source], *given, name, bounds, "")), 1 if name == "none" else 2


def _with_residual(call: KernelCall, given: tuple[Any, ...]) -> Compute:
    import torch

    kernel = call.kernel
    source, own = kernel.steps[0].operands[0], len(kernel.inputs)
    other = next(operand for operand in kernel.steps[1].operands if operand != own)
    run = torch.ops.mkldnn._convolution_pointwise.binary
    return lambda operands: run(operands[source], operands[other], *given, "add", 1.0, None, [], None)
