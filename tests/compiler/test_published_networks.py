"""The networks that ProxylessNAS released, as files of the language: size, work and every layer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from compiler.cost import cost
from compiler.derive import derive
from compiler.ir.graph import Network, Node
from tests.compiler_spaces import shipped

RELEASED = {
    "proxyless_mobile_searched": ("proxyless_mobile.config", 4_080_512, 320_427_584),
    "proxyless_mobile_14": ("proxyless_mobile_14.config", 6_857_568, 580_883_408),
}


def network(name: str) -> Network:
    return derive(shipped(name), {})


@pytest.mark.parametrize("name", RELEASED)
def test_parameters_and_macs_are_the_published_ones(name: str) -> None:
    found = cost(network(name))
    assert (found.params, found.macs) == RELEASED[name][1:]


@pytest.mark.torch
@pytest.mark.parametrize("name", RELEASED)
def test_modules_agree(name: str) -> None:
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    from compiler.nets.network import build_network

    module = build_network(network(name)).eval()
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        module(torch.zeros(1, 3, 224, 224))
    _, params, macs = RELEASED[name]
    assert sum(parameter.numel() for parameter in module.parameters()) == params
    assert counter.get_total_flops() == 2 * macs


Layer = tuple[object, ...]


def convolution(channels: int, node: Node) -> Layer:
    settings = node.settings
    return (node.op, channels, node.type.channels, settings["kernel"], settings["stride"], settings["bias"])


def layers_of(found: Network) -> list[Layer]:
    """Every convolution, activation, sum and linear layer, in order; batch norms by their eps."""
    layers: list[Layer] = []
    graph = found.graph
    for node in graph.nodes:
        if node.op in ("conv", "depthwise"):
            layers.append(convolution(graph[node.inputs[0]].type.sizes[0], node))
        elif node.op == "bn":
            layers.append(("bn", node.settings["eps"], node.settings["momentum"]))
        elif node.op == "linear":
            layers.append(
                ("linear", *graph[node.inputs[0]].type.sizes, node.type.channels, node.settings["bias"])
            )
        elif node.op != "input":
            layers.append((node.op,))
    return layers


class Released:
    """A released configuration as the layers of `layers_of`."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.layers: list[Layer] = []
        self.bn = ("bn", config["bn"]["eps"], config["bn"]["momentum"])
        self.plain(config["first_conv"])
        for block in config["blocks"]:
            if block["mobile_inverted_conv"]["name"] != "ZeroLayer":
                self.bottleneck(block["mobile_inverted_conv"], block["shortcut"])
        self.plain(config["feature_mix_layer"])
        last = config["classifier"]
        self.layers += [("global_pool",), ("linear", last["in_features"], last["out_features"], last["bias"])]

    def plain(self, layer: dict[str, Any]) -> None:
        assert (layer["ops_order"], layer["act_func"], layer["groups"]) == ("weight_bn_act", "relu6", 1)
        self.conv(
            "conv",
            layer["in_channels"],
            layer["out_channels"],
            layer["kernel_size"],
            layer["stride"],
            "relu6",
        )

    def conv(self, op: str, entering: int, out: int, kernel: int, stride: int, *then: str) -> None:
        self.layers += [(op, entering, out, kernel, stride, False), self.bn, *[(each,) for each in then]]

    def bottleneck(self, layer: dict[str, Any], shortcut: dict[str, Any] | None) -> None:
        entering, wide = layer["in_channels"], layer["in_channels"] * layer["expand_ratio"]
        if layer["expand_ratio"] > 1:
            self.conv("conv", entering, wide, 1, 1, "relu6")
        self.conv("depthwise", wide, wide, layer["kernel_size"], layer["stride"], "relu6")
        self.conv("conv", wide, layer["out_channels"], 1, 1)
        if shortcut is not None:
            assert shortcut["name"] == "IdentityLayer"
            self.layers.append(("add",))


@pytest.mark.data
@pytest.mark.parametrize("name", RELEASED)
def test_every_layer_is_that_of_the_released_configuration(name: str, shared_data: Path) -> None:
    config = json.loads((shared_data / "proxylessnas" / RELEASED[name][0]).read_text())
    found, wanted = layers_of(network(name)), Released(config).layers
    assert [tuple(map(_number, layer)) for layer in found] == [tuple(map(_number, layer)) for layer in wanted]


def _number(value: object) -> object:
    """Fractions of the language as the floats of a configuration."""
    return value if isinstance(value, str | bool) else float(value)  # type: ignore[arg-type]
