"""A kernel's signature reads back equal, and its counts are those of its operators."""

from __future__ import annotations

import pytest

from compiler.kernel import Kernel, Step, parse

CONV = (
    ("out", 72),
    ("kernel", 1),
    ("stride", 1),
    ("padding", 0),
    ("dilation", 1),
    ("groups", 1),
    ("bias", True),
)
FUSED = Kernel(
    ((24, 28, 28), (72, 28, 28)), (Step("conv", CONV, (0,)), Step("add", (), (2, 1)), Step("relu6", (), (3,)))
)


def test_signature_reads_back_equal() -> None:
    assert FUSED.signature == (
        "f32 nhwc (24x28x28 72x28x28) conv(%0, out=72, kernel=1, stride=1, padding=0, dilation=1, groups=1, "
        "bias=true); add(%2, %1); relu6(%3)"
    )
    assert parse(FUSED.signature) == FUSED


def test_counts() -> None:
    assert FUSED.output == (72, 28, 28)
    assert FUSED.macs == 28 * 28 * 24 * 72
    assert FUSED.weights == ((0, "weight", (72, 24, 1, 1)), (0, "bias", (72,)))
    assert FUSED.bytes_moved == 4 * (28 * 28 * (24 + 72 + 72) + 24 * 72 + 72)


@pytest.mark.parametrize(
    "text", ["", "f32 nhwc (3x4x4) nonsense(%0)", "f32 nhwc (3x4x4) relu(%5)", "f32 nhwc (3) relu"]
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a kernel"):
        parse(text)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation"), [(3, 1, 1, 1), (7, 2, 3, 1), (3, 1, 2, 2), (1, 1, 0, 1)]
)
def test_arithmetic_leaves_padding_out(kernel: int, stride: int, padding: int, dilation: int) -> None:
    settings = {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation, "bias": False}
    fused = Kernel(((5, 7, 6),), (Step("depthwise", tuple(settings.items()), (0,)),))
    _, height, width = fused.output
    count = sum(
        0 <= y * stride - padding + i * dilation < 7 and 0 <= x * stride - padding + j * dilation < 6
        for y in range(height)
        for x in range(width)
        for i in range(kernel)
        for j in range(kernel)
    )
    assert fused.arithmetic_macs == 5 * count
    assert fused.arithmetic_macs <= fused.macs
