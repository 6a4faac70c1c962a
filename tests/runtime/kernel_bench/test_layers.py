"""Layers of other programs are found by their nodes' names, and those of oneDNN give the network's answers."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from compiler.codegen.from_onnx import from_onnx, read_model
from compiler.codegen.to_onnx import model_bytes, to_onnx
from compiler.derive import derive
from compiler.frontend import space_of
from compiler.nets.network import build_network
from compiler.passes.fold import for_inference
from compiler.passes.fuse import Plan, fuse
from dsl.source import Source
from runtime.bench import cores
from runtime.kernel_bench import onednn_layers, onnxruntime_layers
from runtime.kernel_bench.layers import NoLayers, layer_times

SPACE = """space small {
  input [3, 16, 16]
  output [5]
  conv(out = 16, kernel = 3) -> relu6
    -> residual { depthwise(kernel = 3) -> hswish -> conv(out = 16, kernel = 1) }
    -> relu -> global_pool -> linear(5)
}"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    space = space_of(Source("small.space", SPACE))
    network = derive(space, {})
    state = {name: tensor.numpy() for name, tensor in build_network(network, seed=0).state_dict().items()}
    path = tmp_path_factory.mktemp("layers") / "model.onnx"
    path.write_bytes(model_bytes(to_onnx(network, state)))
    return path


@pytest.fixture(scope="module")
def plan(model: Path) -> Plan:
    return fuse(for_inference(*from_onnx(read_model(model)))[0])


def test_a_profile_is_read_behind_its_warm_up() -> None:
    def event(name: str, duration: float) -> dict[str, Any]:
        return {"cat": "Node", "name": f"{name}_kernel_time", "dur": duration}

    events: list[dict[str, Any]] = [{"cat": "Session", "name": "model_run", "dur": 9}]
    for duration in (900, 900, 900, 900, 900, 10, 11, 11, 500):
        events += [event("a.conv_nchwc", duration), event("ReorderOutput", 2)]
    assert onnxruntime_layers.node_times(events) == {"a.conv_nchwc": 11.0, "ReorderOutput": 2.0}


@pytest.mark.torch
def test_onednn_computes_the_network_kernel_by_kernel(model: Path, plan: Plan, tmp_path: Path) -> None:
    image = np.random.default_rng(0).standard_normal((1, 3, 16, 16), dtype=np.float32)
    nodes = onednn_layers.layers(model, 1, image, 3, tmp_path)
    assert [node.values for node in nodes] == [(call.output,) for call in plan.calls]
    assert [node.reads for node in nodes] == [call.inputs for call in plan.calls]
    assert min(node.time_us for node in nodes) > 0
    assert min(node.overhead_us for node in nodes) > 0


@pytest.mark.torch
@pytest.mark.parametrize("program", [onnxruntime_layers, onednn_layers], ids=lambda program: program.NAME)
def test_a_program_times_every_kernel(program: ModuleType, model: Path, plan: Plan) -> None:
    setup = {"threads": 1, "cores": cores(1), "shape": (1, 3, 16, 16)}
    found = layer_times(program, model, plan, setup)
    assert found.kernels_us.keys() | found.absent.keys() == plan.kernels.keys()
    with pytest.raises(NoLayers, match="ended with code 1: "):
        layer_times(program, model.with_name("none.onnx"), plan, setup)


def test_an_absent_program_says_what_to_install(
    model: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onednn_layers, "PACKAGES", ("no-such-package",))
    with pytest.raises(NoLayers, match="not installed: pip install no-such-package"):
        layer_times(onednn_layers, model, plan, {})
