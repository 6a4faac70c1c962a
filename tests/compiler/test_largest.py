"""The largest network is the largest of all."""

from __future__ import annotations

import pytest

from compiler.architecture import every, validate
from compiler.cost import cost
from compiler.counting import Counter
from compiler.derive import derive
from compiler.frontend import space_of
from compiler.largest import largest
from dsl.source import Source

MOBILE = """
block mb(out, kernel, expand, stride = 1) {
    conv(in.channels * expand, 1) -> bn -> relu6 -> depthwise(kernel, stride) -> bn -> relu6 -> conv(out, 1) -> bn
}
space s {
    input [3, 16, 16]  output [10]
    conv(8, 3) -> bn -> relu6
    -> residual { choose { skip: zero | mb(8, kernel = choose(3, 5), expand = choose(4, 2)) } }
    -> mb(16, choose(3, 5), 2, stride = 2)
    -> conv(choose(24, 40, 32), 1) -> relu -> global_pool -> linear(10)
}
"""
TIED = """
block layer(out, kernel) { conv(out, kernel) -> bn -> relu }
space s {
    input [3, 8, 8]  output [4]
    width = choose(8, 12)  kernel = choose(1, 3)
    layer(width, kernel) -> layer(width, kernel) -> conv(6, 1)
    -> choose { layer(6, 3) | conv(6, 5) | max_pool(3, stride = 1) } -> global_pool -> linear(4)
}
"""
ONLY = "space s { input [3, 8, 8]  output [4]  conv(4, 3) -> global_pool -> linear(4) }"


@pytest.mark.parametrize("text", [MOBILE, TIED, ONLY])
def test_no_network_is_larger(text: str) -> None:
    space = space_of(Source("s", text))
    found = validate(space, largest(space))
    macs = [cost(derive(space, each.choices)).macs for each in every(Counter(space))]
    assert cost(derive(space, found.choices)).macs == max(macs)
