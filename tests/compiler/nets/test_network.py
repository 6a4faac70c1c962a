"""A graph's module computes what the operators say, under the keys that the graph's names give."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402

from compiler.ir.graph import Network  # noqa: E402
from compiler.ir.ops import ACTIVATIONS, OPERATORS  # noqa: E402
from compiler.nets.forward import FORWARD  # noqa: E402
from compiler.nets.network import build_network  # noqa: E402
from tests.small_spaces import Wiring, derived, tiny_space  # noqa: E402

pytestmark = pytest.mark.torch


def small_network() -> Network:
    wiring = Wiring()
    value = wiring.put("stem.conv", "conv", wiring.enter((3, 9, 9)), out=8, kernel=3, stride=2)
    value = wiring.put("stem.relu", "relu", wiring.put("stem.bn", "bn", value))
    inner = wiring.put("relu6", "relu6", wiring.put("depthwise", "depthwise", value, kernel=5, bias=True))
    merged = wiring.put("concat", "concat", wiring.put("add", "add", inner, value), value)
    return Network("small", wiring.build(wiring.put("global_pool", "global_pool", merged)))


def test_every_operator_has_its_forward() -> None:
    assert set(FORWARD) == set(OPERATORS)


def test_keys_and_shapes_are_the_operator_tables() -> None:
    network = derived(tiny_space(), (0, 1, 2))
    expected = {
        f"{node.name}.{name}": shape
        for node in network.graph.nodes
        if node.inputs
        for table in (OPERATORS[node.op].weights, OPERATORS[node.op].statistics)
        for name, shape in table(network.graph[node.inputs[0]].type.sizes, node.settings).items()
    }
    module = build_network(network)
    assert {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()} == expected


def test_output_is_that_of_plain_torch() -> None:
    module = build_network(small_network()).eval()
    state = module.state_dict()
    images = torch.randn(4, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    stem = F.conv2d(images, state["stem.conv.weight"], stride=2, padding=1)
    norm = [state[f"stem.bn.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
    stem = F.batch_norm(stem, *norm).relu()
    inner = F.conv2d(stem, state["depthwise.weight"], state["depthwise.bias"], padding=2, groups=8)
    expected = torch.cat([inner.clamp(0, 6) + stem, stem], 1).mean((2, 3))
    torch.testing.assert_close(module(images), expected)


@pytest.mark.parametrize("op", [*ACTIVATIONS, "zero", "identity", "dropout", "max_pool", "avg_pool", "bn"])
def test_types_and_gradients_of_every_operator(op: str) -> None:
    wiring = Wiring()
    attributes = {"kernel": 3, "stride": 2} if op.endswith("_pool") else {}
    out = wiring.put(
        "op", op, wiring.put("conv", "conv", wiring.enter((4, 6, 6)), out=4, kernel=3), **attributes
    )
    graph = wiring.build(out)
    module = build_network(Network("one", graph))
    result = module(torch.randn(3, 4, 6, 6))
    assert result.shape[1:] == graph.type.sizes
    if op != "zero":
        result.sum().backward()


def test_initialisation_depends_on_the_seed_and_the_name_only() -> None:
    first, second = (
        build_network(derived(tiny_space(), picks), 3).state_dict() for picks in ((0, 1, 2), (1, 1, 2))
    )
    assert torch.equal(first["layer2.mbconv.conv1.weight"], second["layer2.mbconv.conv1.weight"])
    assert not torch.equal(
        first["conv2.weight"], build_network(derived(tiny_space(), (0, 1, 2)), 4).state_dict()["conv2.weight"]
    )
