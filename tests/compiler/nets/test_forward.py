"""PyTorch computes the types, the parameters and the multiply-accumulates that the operator table states."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from compiler.cost import cost  # noqa: E402
from compiler.ir.expression import Value  # noqa: E402
from compiler.ir.graph import Network  # noqa: E402
from compiler.ir.ops import OPERATORS, TypeProblem  # noqa: E402
from compiler.ir.types import Dimensions  # noqa: E402
from compiler.nets.forward import FORWARD  # noqa: E402
from compiler.nets.network import build_network  # noqa: E402
from tests.compiler.operator_cases import CASES, NETWORKS, Case, case_name, one_operator, transformer  # noqa: E402
from tests.small_spaces import Wiring  # noqa: E402

pytestmark = pytest.mark.torch
SIZE = st.integers(1, 7)


def check(network: Network) -> None:
    """The result has its type, the weights their number, and PyTorch counts the same products."""
    module = build_network(network).eval()
    images = torch.randn(2, *network.graph.inputs[0].type.sizes)
    # The other kernels of attention are not counted by PyTorch.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        result = module(images)
    assert tuple(result.shape) == (2, *network.graph.type.sizes)
    found = cost(network)
    assert sum(parameter.numel() for parameter in module.parameters()) == found.params
    assert counter.get_total_flops() == 2 * 2 * found.macs


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_every_operator(case: Case) -> None:
    check(one_operator(*case))


@pytest.mark.parametrize("make", NETWORKS)
def test_networks_of_the_field(make: Callable[[], Network]) -> None:
    check(make())


def test_every_operator_is_among_them() -> None:
    seen = {op for op, _, _ in CASES} | {node.op for make in NETWORKS for node in make().graph.nodes}
    assert seen >= set(OPERATORS)


def test_deit_tiny_has_its_published_size() -> None:
    deit = transformer(224, 16, 192, 3, 12, 1000)
    assert cost(deit).params == 5_717_416


@pytest.mark.parametrize("op", [*dict.fromkeys(op for op, _, _ in CASES if op != "zero")])
def test_gradients_reach_the_operand(op: str) -> None:
    case = next(case for case in CASES if case[0] == op)
    images = torch.randn(2, *case[1], requires_grad=True)
    build_network(one_operator(*case))(images).sum().backward()
    assert images.grad is not None


@st.composite
def calls(draw: st.DrawFn) -> Case:
    """A call of an operator with window, scale or parts drawn at random; many do not fit."""
    op = draw(
        st.sampled_from(["conv", "conv_transpose", "avg_pool", "resize", "slice", "crop", "channel_shuffle"])
    )
    shape: Dimensions = (draw(st.sampled_from([2, 4, 6])), draw(st.integers(1, 12)), draw(st.integers(1, 12)))
    given_: dict[str, Value] = {}
    for attribute in OPERATORS[op].attributes:
        if attribute.required or draw(st.booleans()):
            given_[attribute.name] = draw(_VALUES[attribute.kind])
    return op, shape, given_


_VALUES: dict[str, st.SearchStrategy[Value]] = {
    "size": st.integers(1, 4),
    "count": st.integers(0, 3),
    "flag": st.booleans(),
    "factor": st.builds(Fraction, st.integers(1, 9), st.integers(1, 9)),
}


@given(calls())
@settings(max_examples=400)
def test_what_the_table_accepts_runs_and_has_its_type(case: Case) -> None:
    try:
        network = one_operator(*case)
    except TypeProblem:
        return
    check(network)


@given(SIZE, SIZE, SIZE, st.permutations(range(3)))
@settings(max_examples=40)
def test_a_product_has_the_largest_type_in_any_order(
    channels: int, height: int, width: int, order: list[int]
) -> None:
    wiring = Wiring()
    whole = wiring.enter((channels, height, width))
    operands = [
        whole,
        wiring.put("pool", "global_pool", whole),
        wiring.put("one", "conv", whole, out=1, kernel=1),
    ]
    graph = wiring.build(wiring.put("product", "mul", *[operands[index] for index in order]))
    assert graph.type.sizes == (channels, height, width)
    images = torch.randn(2, channels, height, width)
    module = build_network(Network("product", graph))
    expected = images * images.mean((2, 3), keepdim=True)
    expected = expected * torch.nn.functional.conv2d(images, module.state_dict()["one.weight"])
    torch.testing.assert_close(module(images), expected)


@given(st.integers(1, 16), st.integers(1, 16), st.integers(1, 80))
def test_nearest_resizing_is_exact(top: int, bottom: int, size: int) -> None:
    """`F.interpolate` rounds: scaled by 3/7, row 27 is that of place 62, not 63."""
    scale = Fraction(top, bottom)
    if size * scale < 1:
        return
    rows = torch.arange(float(size)).reshape(1, 1, size, 1).expand(1, 1, size, size)
    result = FORWARD["resize"]([rows], {}, {"scale": scale, "bilinear": False}, "evaluate")
    assert [int(row) for row in result[0, 0, :, 0]] == [int(y / scale) for y in range(int(size * scale))]


def test_a_scale_that_floats_do_not_hold_keeps_its_size() -> None:
    check(one_operator("resize", (1, 49, 98), {"scale": Fraction(1, 49), "bilinear": True}))


def test_attention_is_the_formula() -> None:
    queries, keys, values = torch.randn(2, 3, 8), torch.randn(2, 5, 8), torch.randn(2, 5, 4)
    result = FORWARD["attention"]([queries, keys, values], {}, {"heads": 2}, "evaluate")
    for head in range(2):
        own, others = (part[..., 4 * head : 4 * head + 4] for part in (queries, keys))
        weights = (own @ others.transpose(1, 2) / 2).softmax(-1)
        torch.testing.assert_close(
            result[..., 2 * head : 2 * head + 2], weights @ values[..., 2 * head : 2 * head + 2]
        )
