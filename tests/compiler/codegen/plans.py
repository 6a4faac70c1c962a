"""Small networks as plans, with weights, and what PyTorch makes of them."""

from __future__ import annotations

from compiler.codegen.schedules import candidates
from compiler.codegen.schedules.template import Schedule
from compiler.ir.types import Dimensions
from compiler.kernel import Kernel
from compiler.passes.fuse import KernelCall, Plan
from compiler.target import Target
from tests.compiler.codegen.reference import Array, conv, depthwise, linear, plain, run_reference


class PlanBuilder:
    """Adds kernels one after another; values are named by their number."""

    def __init__(self, shape: Dimensions) -> None:
        self.calls: list[KernelCall] = []
        self.types: dict[str, Dimensions] = {"x": shape}

    def add(self, kernel: Kernel, *inputs: str) -> str:
        """A call; returns the name of its result."""
        name = f"v{len(self.calls)}"
        nodes = tuple(f"{name}_{index}" for index in range(len(kernel.steps)))
        self.calls.append(KernelCall(kernel, inputs, name, nodes, ""))
        self.types[name] = kernel.output
        return name

    def plan(self, output: str) -> Plan:
        """The plan whose result is `output`."""
        return Plan(("x",), tuple(self.calls), output, self.types)


def mobile(channels: int = 3, size: int = 16, classes: int = 7, layers: int = 2) -> Plan:
    """A stem, some inverted residuals, a head."""
    builder = PlanBuilder((channels, size, size))
    value = builder.add(conv((channels, size, size), 8, 3, "relu6", stride=2), "x")
    for _ in range(layers):
        shape = builder.types[value]
        wide = builder.add(conv(shape, 24, 1, "relu6"), value)
        deep = builder.add(depthwise(builder.types[wide], 3, "relu6"), wide)
        value = builder.add(conv(builder.types[deep], 8, residual=True), deep, value)
    pooled = builder.add(plain("global_pool", [builder.types[value]]), value)
    return builder.plan(builder.add(linear(builder.types[pooled], classes), pooled))


def default_schedules(plan: Plan, target: Target) -> dict[str, Schedule]:
    """The default schedule of every kernel of the plan."""
    return {signature: candidates(kernel, target)[0] for signature, kernel in plan.kernels.items()}


def run_plan(plan: Plan, weights: dict[str, Array], source: Array) -> Array:
    """The plan's result (channels first) by PyTorch."""
    values = {plan.inputs[0]: source}
    for call in plan.calls:
        own = {(step, name): weights[f"{call.nodes[step]}.{name}"] for step, name, _ in call.kernel.weights}
        values[call.output] = run_reference(call.kernel, [values[name] for name in call.inputs], own)
    return values[plan.output]
