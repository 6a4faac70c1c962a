"""The source written computes what the network does, from the same weights, with nothing but torch."""

from __future__ import annotations

import ast
import random
from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from compiler.codegen.to_pytorch import to_pytorch  # noqa: E402
from compiler.ir.graph import Network  # noqa: E402
from compiler.nets.network import build_network  # noqa: E402
from tests.compiler.operator_cases import CASES, NETWORKS, Case, case_name, one_operator  # noqa: E402
from tests.small_spaces import Wiring, derived, mbconv, stacked_space, tiny_space  # noqa: E402

pytestmark = pytest.mark.torch


def check_equal(network: Network) -> str:
    source = to_pytorch(network)
    names: dict[str, Any] = {"__name__": "written"}
    exec(compile(source, "written.py", "exec"), names)
    reference, written = build_network(network, seed=4), names["Network"]()
    weights = reference.state_dict()
    written.load_state_dict(names["renamed"](weights) if "renamed" in names else weights)
    images = torch.randn(4, *network.graph.inputs[0].type.sizes)
    for mode in (True, False):
        results = []
        for module in (written, reference):
            torch.manual_seed(0)
            results.append(module.train(mode)(images.clone()))
        torch.testing.assert_close(*results)
    return source


def test_golden(golden: Callable[[str, str], None]) -> None:
    space = stacked_space([(16, 1), (16, 1), (32, 2), (32, 1)])
    golden("compiler/network_py.txt", to_pytorch(derived(space, (0, 6, 3, 1))))


@pytest.mark.parametrize("seed", range(10))
def test_random_networks(seed: int) -> None:
    generator = random.Random(seed)
    picks = [generator.randrange(2), generator.randrange(2), generator.randrange(3)]
    source = check_equal(derived(tiny_space(), picks))
    assert source == to_pytorch(derived(tiny_space(), picks))


def test_it_needs_torch_alone() -> None:
    tree = ast.parse(to_pytorch(derived(tiny_space(), (0, 0, 0))))
    modules = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert modules == {"__future__", "torch"}


def many_operators() -> Network:
    wiring = Wiring("block.")
    start = wiring.enter((6, 8, 8))
    left = wiring.put("conv", "conv", start, out=6, kernel=3, groups=2, dilation=2, bias=True)
    right = wiring.put("depthwise", "depthwise", start, kernel=4, padding=1, stride=2, bias=True)
    gate = wiring.put("sigmoid", "sigmoid", left)
    product = wiring.put("mul", "mul", gate, start, left)
    pooled = wiring.put("avg_pool", "avg_pool", product, kernel=2, stride=2)
    pooled = wiring.put("max_pool", "max_pool", pooled, kernel=3, padding=1, stride=1)
    wiring.prefix = "merge."
    joined = wiring.put("concat", "concat", pooled, wiring.put("hswish", "hswish", right))
    joined = wiring.put("add", "add", joined, wiring.put("zero", "zero", joined), joined)
    value = wiring.put("bn", "bn", wiring.put("global_pool", "global_pool", joined))
    wiring.prefix = ""
    value = wiring.put("dropout", "dropout", value, rate=0)
    return Network(
        "many", wiring.build(wiring.put("linear", "linear", wiring.put("gelu", "gelu", value), out=3))
    )


def test_a_graph_of_many_operators() -> None:
    check_equal(many_operators())


def test_torn_groups_and_values_read_twice() -> None:
    wiring = Wiring("a.")
    first = wiring.put("conv", "conv", wiring.enter((4, 6, 6)), out=4, kernel=3)
    wiring.prefix = "b."
    second = wiring.put("conv", "conv", first, out=4, kernel=1)
    wiring.prefix = "a."
    third = wiring.put("conv2", "conv", second, out=4, kernel=1)
    wiring.prefix = ""
    source = check_equal(Network("torn", wiring.build(wiring.put("add", "add", third, first, second))))
    assert "Parts(" in source


def test_names_that_python_does_not_allow() -> None:
    wiring = Wiring("half.skip#2.")
    value = mbconv(wiring, wiring.enter((4, 6, 6)), 4, 3, 2)
    wiring.prefix = ""
    value = wiring.put(
        "class", "conv", wiring.put("forward.x", "conv", value, out=4, kernel=1), out=2, kernel=1
    )
    source = check_equal(Network('quoted """ name\\', wiring.build(value)))
    assert "'half.skip#2.conv1': 'half_.skip_2.conv1'," in source


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_every_operator(case: Case) -> None:
    check_equal(one_operator(*case))


@pytest.mark.parametrize("make", NETWORKS)
def test_networks_of_the_field(make: Callable[[], Network]) -> None:
    check_equal(make())


def test_a_norm_of_tokens_is_never_a_plain_call() -> None:
    wiring = Wiring("block.")
    value = wiring.put("norm", "bn", wiring.put("linear", "linear", wiring.enter((5, 6)), out=4))
    wiring.prefix = ""
    source = check_equal(Network("tokens", wiring.build(wiring.put("head", "linear", value, out=3))))
    assert "class Block(" in source


def test_a_network_of_nothing() -> None:
    wiring = Wiring()
    check_equal(Network("nothing", wiring.build(wiring.enter((3, 4, 4)))))
