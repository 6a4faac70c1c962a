"""Kernels joined into chains split into what they were made of; what is no chain is told apart."""

from __future__ import annotations

from dataclasses import replace

import pytest

from compiler.chain import chain_of, join, part_weights, split
from compiler.kernel import Kernel, Step, parse
from tests.compiler.codegen.chains import CHAINS, chain_parts, chained
from tests.compiler.codegen.reference import conv, depthwise


@pytest.mark.parametrize("parts", CHAINS)
def test_a_chain_splits_into_the_kernels_it_was_joined_from(parts: list[Kernel]) -> None:
    joined = chained(parts)
    assert [part.kernel for part in split(joined)] == parts
    assert parse(joined.signature) == joined
    assert joined.macs == sum(part.macs for part in parts)
    assert chain_of(joined) is not None


def test_constants_of_the_parts_are_those_of_the_chain() -> None:
    joined = chained(CHAINS[0])
    weights = {(step, name): shape for step, name, shape in joined.weights}
    for part in split(joined):
        own = {(step, name): shape for step, name, shape in part.kernel.weights}
        assert part_weights(part, weights) == own


def test_a_kernel_of_one_operator_is_its_own_part() -> None:
    alone = conv((8, 5, 5), 8, 1, "relu", residual=True)
    (part,) = split(alone)
    assert part.kernel == alone
    assert chain_of(alone) is None


def dilated() -> Kernel:
    return chained([conv((8, 9, 9), 16, 1, "relu"), depthwise((16, 9, 9), 3, dilation=2)])


def skipping() -> Kernel:
    return chained([conv((8, 9, 9), 16, 1), depthwise((16, 9, 9), 1, stride=2)])


def strided_last() -> Kernel:
    return chained([depthwise((16, 9, 9), 3), conv((16, 9, 9), 8, 1, stride=2)])


def grouped_last() -> Kernel:
    return chained([depthwise((16, 9, 9), 3), conv((16, 9, 9), 8, 1, groups=2)])


def residual_inside() -> Kernel:
    parts = [conv((16, 9, 9), 16, 1, residual=True), depthwise((16, 9, 9), 3)]
    return join(parts, [["x", "x2"], ["a"]], ["a", "b"])


def residual_around_depthwise() -> Kernel:
    joined = chained([conv((8, 9, 9), 16, 1), depthwise((16, 9, 9), 3)])
    return Kernel(joined.inputs, (*joined.steps, Step("add", (), (len(joined.steps), 1))))


def residual_around_last() -> Kernel:
    joined = chained([depthwise((16, 9, 9), 3), conv((16, 9, 9), 16, 1)])
    return Kernel(joined.inputs, (*joined.steps, Step("add", (), (len(joined.steps), 1))))


@pytest.mark.parametrize(
    "make",
    [
        dilated,
        skipping,
        strided_last,
        grouped_last,
        residual_inside,
        residual_around_depthwise,
        residual_around_last,
    ],
)
def test_what_is_no_chain_is_told_apart(make: object) -> None:
    assert chain_of(make()) is None  # type: ignore[operator]


def test_a_part_that_reads_inside_an_earlier_one_is_refused() -> None:
    joined = chained(chain_parts((8, 6, 6), 16, 8))
    last = joined.steps[-1]
    steps = (*joined.steps[:-1], replace(last, operands=(2,)))
    with pytest.raises(ValueError, match="reads inside"):
        split(Kernel(joined.inputs, steps))
    assert chain_of(Kernel(joined.inputs, steps)) is None


def test_an_elementwise_head_is_no_chain() -> None:
    steps = chained(chain_parts((8, 6, 6), 16)).steps
    moved = [Step(s.operator, s.attributes, tuple(i + 1 for i in s.operands)) for s in steps]
    assert chain_of(Kernel(((8, 6, 6),), (Step("relu", (), (0,)), *moved))) is None
