"""The network as the report shows it: its layers in order, and what each kernel is in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from compiler.cost import node_macs, node_params
from compiler.ir.graph import INPUT, Network
from compiler.ir.types import Dimensions
from compiler.kernel import Kernel
from compiler.latency import LatencyTable
from compiler.passes.fuse import KernelCall
from compiler.picture.words import plain_labels
from compiler.pricing import inference_plan
from runtime.report.values import MixedChoice

TIMES = "\N{MULTIPLICATION SIGN}"
_WORDS = {"depthwise": "depthwise", "linear": "linear", "global_pool": "global pool", "max_pool": "max pool"}


@dataclass(frozen=True)
class Layer:
    """One layer: a mixed op, or a kernel outside of them. `choice` is None for a layer that was not searched.

    `window` is the largest kernel in it, `output` the dimensions it gives, None where it was skipped.
    `latency_ms` is the table's, calls included, in milliseconds; None where there is no table.
    """

    title: str
    window: int
    output: Dimensions | None
    kernels: int
    macs: int
    params: int
    latency_ms: float | None
    choice: MixedChoice | None = None

    @property
    def place(self) -> str:
        """The decision's name, else `fixed`."""
        return self.choice.name if self.choice else "fixed"


def layers_of(
    network: Network, mixed: Sequence[MixedChoice], table: LatencyTable | None = None
) -> tuple[Layer, ...]:
    """The layers of a network: each mixed op is one, and each kernel outside of them, as the table joins them.

    A choice that left nothing (a skipped layer) stands after the searched layer before it. The layers' MACs and
    parameters sum up to the network's cost, their latencies to what the table predicts less its constant.

    Raises:
        TableProblem: the table lacks a kernel.
    """
    plan = inference_plan(network)
    calls = (plan if table is None else table.joined(plan)).calls
    sized = _sized(network, calls, table)
    blocks = [(unit, list(group)) for unit, group in groupby(sized, key=lambda each: each.call.unit)]
    choices = {choice.name: choice for choice in mixed}
    layers: list[Layer] = []
    waiting = list(mixed)
    present = {unit for unit, _ in blocks}
    for unit, group in blocks:
        if unit in choices:
            layers += _skipped(waiting, present, unit)
            layers.append(_searched(choices[unit], group))
        elif unit:
            layers.append(_block(unit.rpartition(".")[2], group))
        else:
            layers += [_block(describe(each.call.kernel), [each]) for each in group]
    return _with_rest(layers, waiting)


@dataclass(frozen=True)
class _Sized:
    """A kernel call with the cost of the operators behind it, norms and scales folded into it included."""

    call: KernelCall
    macs: int
    params: int
    latency_ms: float | None


def _sized(network: Network, calls: Sequence[KernelCall], table: LatencyTable | None) -> list[_Sized]:
    graph, owner = network.graph, {name: call.output for call in calls for name in call.nodes}
    sizes = {node.name: node.type.sizes for node in graph.nodes}
    macs, params = dict.fromkeys(owner.values(), 0), dict.fromkeys(owner.values(), 0)
    for node in graph.nodes:
        if node.op == INPUT:
            continue
        if node.name not in owner and node.inputs[0] in owner:
            owner[node.name] = owner[node.inputs[0]]
        if node.name in owner:
            macs[owner[node.name]] += node_macs(node, [sizes[operand] for operand in node.inputs])
            params[owner[node.name]] += node_params(node, sizes[node.inputs[0]])
    return [_Sized(call, macs[call.output], params[call.output], _latency_ms(call, table)) for call in calls]


def _latency_ms(call: KernelCall, table: LatencyTable | None) -> float | None:
    if table is None:
        return None
    return table.call_ms(call.kernel.signature)


def _skipped(waiting: list[MixedChoice], present: set[str], until: str) -> list[Layer]:
    """The skipped mixed ops before `until`, which are taken from `waiting` with it."""
    skipped = []
    while waiting:
        choice = waiting.pop(0)
        if choice.name == until:
            break
        if choice.name not in present:
            skipped.append(_nothing(choice))
    return skipped


def _nothing(choice: MixedChoice) -> Layer:
    return Layer(choice.labels[choice.chosen], 0, None, 0, 0, 0, None, choice)


def _with_rest(layers: list[Layer], waiting: list[MixedChoice]) -> tuple[Layer, ...]:
    last = max((place for place, layer in enumerate(layers) if layer.choice), default=0)
    rest = [_nothing(choice) for choice in waiting]
    return (*layers[: last + 1], *rest, *layers[last + 1 :])


def _searched(choice: MixedChoice, group: list[_Sized]) -> Layer:
    return replace(_block(choice.labels[choice.chosen], group), choice=choice)


def _block(title: str, group: list[_Sized]) -> Layer:
    steps = [step for each in group for step in each.call.kernel.steps]
    windows = [size for step in steps if isinstance(size := step.settings.get("kernel"), int)]
    times = [each.latency_ms for each in group if each.latency_ms is not None]
    return Layer(
        title,
        max(windows, default=0),
        group[-1].call.kernel.output,
        len(group),
        sum(each.macs for each in group),
        sum(each.params for each in group),
        sum(times) if times else None,
    )


def describe(kernel: Kernel) -> str:
    """What a kernel does: `conv 3x3 /2 + relu6`."""
    words = []
    for step in kernel.steps:
        word, given = _WORDS.get(step.operator, step.operator), step.settings
        if "kernel" in given:
            word += f" {given['kernel']}{TIMES}{given['kernel']}" + (
                f" /{given['stride']}" if given["stride"] != 1 else ""
            )
        if given.get("groups", 1) != 1:
            word += f" in {given['groups']} groups"
        words.append(word)
    return " + ".join(words)


def shape(dimensions: Dimensions) -> str:
    """Dimensions as people write them: 24 times 14 times 14."""
    return TIMES.join(map(str, dimensions))


def short_labels(mixed: Sequence[MixedChoice]) -> dict[str, str]:
    """Candidates' labels by what the mixed ops have in common: `mbconv kernel=5 expand=6` is `kernel 5, expand 6`."""
    return plain_labels([choice.labels for choice in mixed])


def initials(text: str) -> str:
    """A short label's first letters and values: `kernel 5, expand 6` is `k5 e6`."""
    parts = [part.split(" ") for part in text.split(", ")]
    return " ".join(part[0][0] + part[1] if len(part) == 2 else part[0] for part in parts)
