"""Another program's nodes are a kernel's where they compute the same from the same, and no kernel's else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from compiler.codegen.from_onnx import from_onnx
from compiler.codegen.to_onnx import model_bytes, to_onnx
from compiler.passes.fold import for_inference
from compiler.passes.fuse import Plan, fuse
from runtime.bench import cores
from runtime.kernel_bench import onednn_layers, onnxruntime_layers
from runtime.kernel_bench.elsewhere import JOINED, SHORT, LayerTimes, Ran, fastest, matched
from runtime.kernel_bench.layers import layer_times

SIZES = (8, 12, 12)


def model() -> onnx.ModelProto:
    """A convolution, two pools of it, a resize with a sigmoid, a gate of the image's channels, and their concat."""
    random = np.random.default_rng(0)
    constants = {"w": random.standard_normal((8, 8, 3, 3), np.float32), "v": np.eye(8, dtype=np.float32)}
    constants |= {"scales": np.float32([1, 1, 2, 2]), "axes": np.int64([2, 3])}
    pool = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["conv"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node("MaxPool", ["relu"], ["largest"], **pool),
        helper.make_node("AveragePool", ["relu"], ["mean"], **pool),
        helper.make_node("Concat", ["largest", "mean"], ["both"], axis=1),
        helper.make_node("Slice", ["both", "from", "to", "one"], ["part"]),
        helper.make_node("GlobalAveragePool", ["part"], ["squeezed"]),
        helper.make_node("Flatten", ["squeezed"], ["flat"]),
        helper.make_node("MatMul", ["flat", "v"], ["excited"]),
        helper.make_node("Sigmoid", ["excited"], ["gate"]),
        helper.make_node("Unsqueeze", ["gate", "axes"], ["gates"]),
        helper.make_node("Mul", ["part", "gates"], ["gated"]),
        helper.make_node("Resize", ["gated", "", "scales"], ["resized"], mode="nearest",
                         coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
        helper.make_node("Sigmoid", ["resized"], ["answer"]),
    ]  # fmt: skip
    constants |= {"from": np.int64([0]), "to": np.int64([8]), "one": np.int64([1])}
    graph = helper.make_graph(
        nodes, "mixed",
        [helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, [1, *SIZES])],
        [helper.make_tensor_value_info("answer", onnx.TensorProto.FLOAT, [1, *SIZES])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )  # fmt: skip
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


@pytest.fixture(scope="module")
def plan() -> Plan:
    return fuse(for_inference(*from_onnx(model()))[0])


def as_planned(plan: Plan) -> list[Ran]:
    """What a program runs that cuts the network as the plan does, 10 us a call."""
    return [Ran(call.output, (call.output,), call.inputs, 10.0) for call in plan.calls]


def absent(plan: Plan, times: LayerTimes) -> set[str]:
    """The first operators of the kernels without a time."""
    return {plan.kernels[signature].steps[0].operator for signature in times.absent}


def test_a_network_that_is_cut_alike_has_all_times(plan: Plan) -> None:
    found = matched(plan, as_planned(plan))
    assert found.kernels_us == dict.fromkeys(plan.kernels, 10.0)
    assert (found.absent, found.between_us) == ({}, 0.0)


def test_parts_count_with_their_operator_and_layouts_with_none(plan: Plan) -> None:
    first, *rest = as_planned(plan)
    part = replace(first, name="part", values=(f"{first.values[0]}/gemm",), time_us=2.0)
    whole = replace(first, name="conv_nchwc", values=("token_1", first.name), reads=("part",))
    turned = Ran("reorder", (), ("conv_nchwc",), 4.0)
    readers = [replace(node, reads=("reorder",)) if first.name in node.reads else node for node in rest]
    found = matched(plan, [part, whole, turned, *readers])
    assert found.absent == {}
    assert found.kernels_us[plan.calls[0].kernel.signature] == 12.0
    assert found.between_us == pytest.approx(4.0)


def test_what_is_computed_in_another_layer_has_no_time_nor_has_that_layer(plan: Plan) -> None:
    nodes = {
        plan_call.kernel.steps[0].operator: node
        for plan_call, node in zip(plan.calls, as_planned(plan), strict=True)
    }
    pool, concat = nodes["avg_pool"], nodes["concat"]
    taken = replace(concat, reads=(*[name for name in concat.reads if name != pool.name], *pool.reads))
    found = matched(plan, [taken if node == concat else node for node in as_planned(plan) if node != pool])
    assert absent(plan, found) == {"conv", "avg_pool", "concat"}, "the convolution may hold the pool as well"
    assert set(found.absent.values()) == {JOINED}
    assert found.between_us == pytest.approx(20.0), "the time of all three"


def test_a_layer_that_also_computes_what_reads_it_has_no_time(plan: Plan) -> None:
    *kept, last = as_planned(plan)
    found = matched(plan, kept)
    assert absent(plan, found) == {"resize", "mul"}
    assert found.kernels_us[plan.calls[0].kernel.signature] == 10.0
    assert last.name == plan.output


def test_a_kernel_that_is_shorter_than_its_call_has_no_time(plan: Plan) -> None:
    called = [replace(node, overhead_us=4.0) for node in as_planned(plan)]
    assert set(matched(plan, called).kernels_us.values()) == {6.0}
    longer = [replace(node, overhead_us=5.5) for node in called]
    assert matched(plan, longer).absent == dict.fromkeys(plan.kernels, SHORT)


def test_the_least_time_of_several_runs_counts(plan: Plan) -> None:
    runs = [[replace(node, time_us=time_us) for node in as_planned(plan)] for time_us in (7.0, 5.0, 6.0)]
    assert {node.time_us for node in fastest(runs)} == {5.0}


def test_the_same_activation_twice_may_be_computed_once() -> None:
    """Two branches begin with the same ReLU; ONNX Runtime computes it once."""
    random = np.random.default_rng(0)
    weights = {name: random.standard_normal((8, 8, 3, 3), np.float32) for name in ("a", "b", "c")}
    around = {"pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Conv", ["image", "a"], ["first"], **around),
        helper.make_node("Relu", ["first"], ["left"]),
        helper.make_node("Relu", ["first"], ["right"]),
        helper.make_node("Conv", ["left", "b"], ["one"], **around),
        helper.make_node("Conv", ["right", "c"], ["two"], **around),
        helper.make_node("Concat", ["one", "two"], ["answer"], axis=1),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "twice",
        [value("image", onnx.TensorProto.FLOAT, [1, *SIZES])],
        [value("answer", onnx.TensorProto.FLOAT, [1, 16, 12, 12])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )  # fmt: skip
    proto = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    twice = fuse(for_inference(*from_onnx(proto))[0])
    first, left, right, one, two, both = as_planned(twice)
    once = [first, left, one, replace(two, reads=(left.name,)), both]
    assert matched(twice, once).absent == {}
    assert right.name not in {node.name for node in once}


@pytest.mark.torch
@pytest.mark.parametrize("program", [onnxruntime_layers, onednn_layers], ids=lambda program: program.NAME)
def test_each_kernel_has_a_time_or_a_reason(program: object, plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "mixed.onnx"
    path.write_bytes(model_bytes(to_onnx(*from_onnx(model()))))
    found = layer_times(program, path, plan, {"threads": 1, "cores": cores(1), "shape": (1, *SIZES)})  # type: ignore[arg-type]
    assert found.kernels_us.keys() | found.absent.keys() == plan.kernels.keys()
    if program is onnxruntime_layers:
        assert found.absent == {}
    else:
        assert set(found.absent.values()) <= {SHORT}
