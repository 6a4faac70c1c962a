"""Every operator through our kernels, and through TVM's own operators, agrees with PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from compiler.codegen import tvm_api
from compiler.codegen.naive import naive_module
from compiler.codegen.schedules import built_operators, candidates
from compiler.codegen.schedules.template import Schedule
from compiler.codegen.to_relax import compile_network, lower
from compiler.ir.graph import Network
from compiler.ir.ops import OPERATORS
from compiler.kernel import Kernel, parse
from compiler.passes.fold import for_inference
from compiler.passes.fuse import Plan, fuse
from compiler.target import Target
from runtime.device import host
from tests.compiler.operator_cases import (
    CASES,
    NETWORKS,
    Case,
    case_name,
    convnext,
    decoder,
    one_operator,
    randomised,
    squeeze_excite,
    token_mixer,
    transformer,
)

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.tvm, pytest.mark.torch]
Array = np.ndarray[Any, Any]

BUILT = [case for case in CASES if case[0] not in ("identity", "dropout")]
"""Networks of the others compute nothing."""


def trained(network: Network) -> tuple[Plan, dict[str, Array], Array, Array]:
    """The network's plan and weights, an input, and what PyTorch makes of it."""
    from compiler.nets.network import build_network

    module = randomised(build_network(network)).eval()
    image = torch.randn(1, *network.graph.inputs[0].type.sizes, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = module(image).numpy()
    parameters = {key: tensor.contiguous().numpy() for key, tensor in module.state_dict().items()}
    ready, weights = for_inference(network, parameters)
    return fuse(ready), weights, image.numpy(), expected


def check(network: Network, target: Target, which: int = 0) -> None:
    """The bundle's code, with the schedule at `which` of each kernel's candidates, agrees with PyTorch."""
    plan, weights, image, expected = trained(network)
    schedules = {name: _schedule(kernel, target, which) for name, kernel in plan.kernels.items()}
    main = tvm_api.main_of(compile_network(lower(plan, weights, schedules, target), target))
    agree(main(tvm_api.array(image)).numpy(), expected)


def _schedule(kernel: Kernel, target: Target, which: int) -> Schedule:
    found = candidates(kernel, target)
    return found[which % len(found)]


def agree(result: Array, expected: Array) -> None:
    assert result.shape == expected.shape
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5 * max(np.abs(expected).max(), 1e-3))


@pytest.mark.parametrize("case", BUILT, ids=case_name)
def test_every_operator(case: Case) -> None:
    check(one_operator(*case), host())


def test_there_is_a_kernel_for_every_operator() -> None:
    assert built_operators() == set(OPERATORS)


@pytest.mark.parametrize("make", NETWORKS)
@pytest.mark.parametrize("which", [0, -1])
def test_networks_of_the_field(make: Callable[[], Network], which: int) -> None:
    check(make(), host(), which)


@pytest.mark.parametrize("make", NETWORKS)
def test_in_parallel_and_in_narrow_vectors(make: Callable[[], Network]) -> None:
    machine = host()
    check(make(), replace(machine, threads=2))
    check(make(), replace(machine, vector_bits=128, registers=16))


@pytest.mark.parametrize("width", [8, 24, 40])
def test_wide_heads_and_many_tokens(width: int) -> None:
    check(transformer(size=24, patch=4, width=2 * width, heads=2, depth=1), host())


@pytest.mark.parametrize("make", NETWORKS)
def test_tvm_s_own_way_agrees_too(make: Callable[[], Network]) -> None:
    naive([make()])


@pytest.mark.parametrize(
    "op", ["conv_transpose", "resize", "crop", "softmax", "elu", "avg_pool", "global_max_pool"]
)
def test_tvm_s_own_operators_agree_too(op: str) -> None:
    naive([one_operator(*case) for case in CASES if case[0] == op])


def naive(networks: Sequence[Network]) -> None:
    for network in networks:
        plan, weights, image, expected = trained(network)
        main = tvm_api.main_of(tvm_api.build_default(naive_module(plan, weights), host()))
        agree(main(tvm_api.array(image)).numpy(), expected)


@pytest.mark.parametrize("case", BUILT, ids=case_name)
def test_signatures_read_back_equal(case: Case) -> None:
    for signature, kernel in trained(one_operator(*case))[0].kernels.items():
        assert parse(signature) == kernel


def kernels_of(network: Network) -> list[list[str]]:
    """The operators of each kernel of a network's plan."""
    return [[step.operator for step in call.kernel.steps] for call in trained(network)[0].calls]


def test_a_gate_is_no_part_of_the_kernel_that_computes_it() -> None:
    """The product has the image's type, and its kernel the epilogue; the gate's ends with the gate."""
    assert kernels_of(squeeze_excite()) == [
        ["conv"],
        ["depthwise", "hswish"],
        ["global_pool"],
        ["linear", "relu"],
        ["linear", "hsigmoid"],
        ["mul", "relu6"],
        ["conv", "sigmoid"],
        ["conv", "mul", "add"],
    ]


def test_a_layer_scale_goes_into_what_it_scales() -> None:
    assert kernels_of(convnext())[-3:] == [["conv", "add", "relu"], ["depthwise"], ["global_max_pool"]]


def test_batch_norm_goes_into_a_transposed_convolution() -> None:
    found = kernels_of(decoder())
    assert found[7:10] == [["conv_transpose"], ["resize"], ["resize", "add"]]


def test_elementwise_operators_follow_any_other_in_its_kernel() -> None:
    assert ["global_pool", "sigmoid"] in kernels_of(token_mixer())
    assert ["crop", "leaky_relu"] in kernels_of(decoder())
