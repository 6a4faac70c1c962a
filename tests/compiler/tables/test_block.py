"""Texts of blocks: defaults are filled in, equal blocks are equal, mistakes are named."""

from __future__ import annotations

import pytest

from compiler.tables.block import read_block

SHORT = "f32 nhwc (8x8x8) conv(%0, out=8, kernel=3, bias=true); add(%1, %0)"
LONG = "f32 nhwc (8x8x8) conv(%0, out=8, kernel=3, stride=1, padding=1, dilation=1, groups=1, bias=true); add(%0, %1)"


def test_defaults_and_the_order_of_a_sum_do_not_matter() -> None:
    assert read_block(SHORT) == read_block(LONG)
    assert read_block(SHORT).signature == LONG


WRONG = {
    "conv 3x3": "not a kernel signature: 'conv 3x3'",
    "f32 nhwc (8x8x8) conv(%0, kernel=3)": "needs `out`",
    "f32 nhwc (8x8x8) conv(%0, out=8, kernel=3, colour=1)": "`colour` of `conv` is no attribute",
    "f32 nhwc (8x8x8) conv(%0, out=0, kernel=3)": "`out` of `conv` is 0",
    "f32 nhwc (8x8x8) convolve(%0)": "no operator `convolve`",
    "f32 nhwc (8x8x8) bn(%0)": "fold it into the layer before it",
    "f32 nhwc (8x8x8) dropout(%0, rate=1/2)": "leave it out",
    "f32 nhwc (8x8x8) relu(%1)": "stand before it",
    "f32 nhwc (8x8x8) relu(%-1)": "stand before it",
    "f32 nhwc (8x8x8) relu()": "not written like that",
    "f32 nhwc (8x8x8) dropout(%0, rate=1/0)": "not written like that",
    "f32 nhwc (8x8x8) conv(%0, out=8, out=9, kernel=3)": "`out` of `conv` stands twice",
    "f32 nhwc (8x8x8 8x8x8) relu(%0)": "nothing reads %1",
    "f32 nhwc (8x8x8) relu(%0); relu(%0)": "nothing reads %1",
    "f32 nhwc (8x8x8 4x8x8) add(%0, %1)": "add",
    "f32 nhwc (8x8x8) dropout(%0, rate=1e5000000)": "without an exponent",
    f"f32 nhwc (8x8x8) {'relu(%0); ' * 1000}": "at most 4,000 characters",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_block(text: str) -> None:
    with pytest.raises(ValueError, match=WRONG[text]):
        read_block(text)
