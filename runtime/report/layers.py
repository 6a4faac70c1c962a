"""The network as the report shows it: its layers in order, and what each kernel is in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from compiler.ir.graph import Network
from compiler.ir.types import Dimensions
from compiler.kernel import Kernel
from compiler.passes.fold import fold_graph
from compiler.passes.fuse import KernelCall, fuse_graph
from compiler.picture.words import plain_labels
from runtime.report.values import MixedChoice

TIMES = "\N{MULTIPLICATION SIGN}"
_WORDS = {"depthwise": "depthwise", "linear": "linear", "global_pool": "global pool", "max_pool": "max pool"}


@dataclass(frozen=True)
class Layer:
    """One column of the architecture's picture. `choice` is None for a layer that was not searched.

    `window` is the largest kernel in it, `output` the dimensions it gives, None where it was skipped.
    """

    title: str
    window: int
    output: Dimensions | None
    macs: int
    choice: MixedChoice | None = None


def layers_of(network: Network, mixed: Sequence[MixedChoice]) -> tuple[Layer, ...]:
    """The layers of a network: each mixed op is one, and each kernel outside of them.

    A choice that left nothing (a skipped layer) stands after the searched layer before it.
    """
    calls = fuse_graph(fold_graph(network.graph)).calls
    blocks = [(unit, list(group)) for unit, group in groupby(calls, key=lambda call: call.unit)]
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
            layers += [_block(describe(call.kernel), [call]) for call in group]
    return _with_rest(layers, waiting)


def _skipped(waiting: list[MixedChoice], present: set[str], until: str) -> list[Layer]:
    """The skipped mixed ops before `until`, which are taken from `waiting` with it."""
    skipped = []
    while waiting:
        choice = waiting.pop(0)
        if choice.name == until:
            break
        if choice.name not in present:
            skipped.append(Layer(choice.labels[choice.chosen], 0, None, 0, choice))
    return skipped


def _with_rest(layers: list[Layer], waiting: list[MixedChoice]) -> tuple[Layer, ...]:
    last = max((place for place, layer in enumerate(layers) if layer.choice), default=0)
    rest = [Layer(choice.labels[choice.chosen], 0, None, 0, choice) for choice in waiting]
    return (*layers[: last + 1], *rest, *layers[last + 1 :])


def _searched(choice: MixedChoice, calls: list[KernelCall]) -> Layer:
    block = _block(choice.labels[choice.chosen], calls)
    return Layer(block.title, block.window, block.output, block.macs, choice)


def _block(title: str, calls: list[KernelCall]) -> Layer:
    steps = [step for call in calls for step in call.kernel.steps]
    windows = [size for step in steps if isinstance(size := step.settings.get("kernel"), int)]
    macs = sum(call.kernel.macs for call in calls)
    return Layer(title, max(windows, default=0), calls[-1].kernel.output, macs)


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
