"""Keys of published tables and blocks are each other's inverse; what is neither is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.tables.block import read_block
from compiler.tables.proxylessnas import block_of_key, key_of

KEYS = {
    "Conv-input:224x224x3-output:112x112x32": "f32 nhwc (3x224x224) conv(%0, out=32, kernel=3, stride=2, bias=true);"
    " relu6(%1)",
    "Conv_1-input:7x7x320-output:7x7x1280": "f32 nhwc (320x7x7) conv(%0, out=1280, kernel=1, bias=true); relu6(%1)",
    "Logits-input:7x7x1280-output:1000": "f32 nhwc (1280x7x7) global_pool(%0); linear(%1, out=1000)",
    "expanded_conv-input:112x112x32-output:112x112x16-expand:1-kernel:3-stride:1-idskip:0": "f32 nhwc (32x112x112) "
    "depthwise(%0, kernel=3, bias=true); relu6(%1); conv(%2, out=16, kernel=1, bias=true)",
    "expanded_conv-input:14x14x80-output:14x14x80-expand:3-kernel:5-stride:1-idskip:1": "f32 nhwc (80x14x14) "
    "conv(%0, out=240, kernel=1, bias=true); relu6(%1); depthwise(%2, kernel=5, bias=true); relu6(%3); "
    "conv(%4, out=80, kernel=1, bias=true); add(%5, %0)",
}


@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_a_block(key: str) -> None:
    block = block_of_key(key)
    assert block == read_block(KEYS[key])
    assert key_of(block) == key


SIZES = st.integers(1, 40)


@given(
    SIZES,
    SIZES,
    SIZES,
    SIZES,
    st.integers(1, 7),
    st.sampled_from([1, 3, 5, 7]),
    st.integers(1, 3),
    st.booleans(),
)
def test_every_bottleneck_comes_back(
    height: int, width: int, channels: int, out: int, expand: int, kernel: int, stride: int, skip: bool
) -> None:
    skip = skip and stride == 1
    out = channels if skip else out
    output = f"{-(-height // stride)}x{-(-width // stride)}x{out}"
    traits = f"-expand:{expand}-kernel:{kernel}-stride:{stride}-idskip:{int(skip)}"
    key = f"expanded_conv-input:{height}x{width}x{channels}-output:{output}{traits}"
    assert key_of(block_of_key(key)) == key


WRONG = {
    "Conv-input:224x224x3-output:112x112": "no key",
    "Conv-input:224x224x3-output:112x112x32 ": "no key",
    "Conv-input:0x224x3-output:112x112x32": "no key",
    "Conv-input:224x224x3-output:100x112x32": "the output of such a block is",
    "Logits-input:7x7-output:1000": "no key",
    "expanded_conv-input:14x14x80-output:14x14x96-expand:3-kernel:5-stride:1-idskip:1": "like the input",
    "expanded_conv-input:14x14x80-output:14x14x80-expand:3-kernel:5-stride:2-idskip:0": "is 7x7x80",
    "expanded_conv-input:14x14x80-output:14x14x80-expand:3-kernel:5-stride:1-idskip:2": "no key",
    "expanded_conv-input:14x14x80-output:14x14x80-expand:3-kernel:4-stride:1-idskip:0": "padding",
}


@pytest.mark.parametrize("key", WRONG)
def test_what_is_no_key(key: str) -> None:
    with pytest.raises(ValueError, match=WRONG[key]):
        block_of_key(key)


OTHERS = [
    "f32 nhwc (3x8x8) conv(%0, out=8, kernel=5, bias=true); relu6(%1)",
    "f32 nhwc (3x8x8) conv(%0, out=8, kernel=3, bias=true); relu(%1)",
    "f32 nhwc (3x8x8) conv(%0, out=8, kernel=3, dilation=2, bias=true); relu6(%1)",
    "f32 nhwc (8x8x8) global_pool(%0); linear(%1, out=10, bias=false)",
    "f32 nhwc (8) linear(%0, out=10)",
    "f32 nhwc (8x8x8 8x8x8) add(%0, %1)",
    "f32 nhwc (8x8x8) depthwise(%0, kernel=3, bias=true); relu6(%1)",
]


@pytest.mark.parametrize("text", OTHERS)
def test_no_key_stands_for_another_block(text: str) -> None:
    assert key_of(read_block(text)) is None
