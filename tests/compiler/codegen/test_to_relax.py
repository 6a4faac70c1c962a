"""A plan compiles into one executable that agrees with PyTorch, and so does TVM's own way."""

from __future__ import annotations

from itertools import combinations
from math import prod
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.codegen import tvm_api
from compiler.codegen.memory import ALIGNMENT, Lifetime, plan_memory
from compiler.codegen.naive import naive_module
from compiler.codegen.to_relax import (
    NETWORK,
    compile_network,
    lower,
    relax_module,
    symbol_of,
)
from compiler.passes.fuse import Plan
from runtime.device import host
from runtime.measure import random_weights
from tests.compiler.codegen.plans import PlanBuilder, default_schedules, mobile, run_plan
from tests.compiler.codegen.reference import Array, conv, depthwise, plain, pool

pytestmark = pytest.mark.tvm


def image_to_image() -> Plan:
    """A network whose result is an image, with a branch and pooling."""
    builder = PlanBuilder((5, 9, 8))
    left = builder.add(conv((5, 9, 8), 12, 3, "swish"), "x")
    right = builder.add(pool("avg_pool", (5, 9, 8), 3, 1, 1), "x")
    joined = builder.add(plain("concat", [builder.types[left], builder.types[right]]), left, right)
    return builder.plan(builder.add(depthwise(builder.types[joined], 3, stride=2), joined))


def run(executable: object, folder: Path, source: Array) -> Array:
    path = str(folder / "model.so")
    tvm_api.export(executable, path)
    main = tvm_api.load_main(path)
    result: Array = main(tvm_api.array(source[None])).numpy()
    return result


@pytest.mark.parametrize("plan", [mobile(3), mobile(1, 13, 10, 1), image_to_image()])
def test_networks_agree_with_pytorch(plan: Plan, tmp_path: Path) -> None:
    target = host()
    weights = random_weights(plan, 1)
    source = np.random.default_rng(2).standard_normal(plan.types["x"], dtype=np.float32)
    lowered = lower(plan, weights, default_schedules(plan, target), target)
    result = run(compile_network(lowered, target), tmp_path, source)
    expected = run_plan(plan, weights, source)
    assert result.shape == (1, *expected.shape)
    np.testing.assert_allclose(result[0], expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("plan", [mobile(3), image_to_image()])
def test_tvm_s_own_way_agrees_too(plan: Plan, tmp_path: Path) -> None:
    target = host()
    weights = random_weights(plan, 1)
    source = np.random.default_rng(2).standard_normal(plan.types["x"], dtype=np.float32)
    result = run(tvm_api.build_default(naive_module(plan, weights), target), tmp_path, source)
    expected = run_plan(plan, weights, source)
    np.testing.assert_allclose(result[0], expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_one_function_for_each_distinct_kernel() -> None:
    plan, target = mobile(3, layers=3), host()
    schedules = default_schedules(plan, target)
    lowered = lower(plan, random_weights(plan), schedules, target)
    symbols = {symbol_of(kernel, schedules[name]) for name, kernel in plan.kernels.items()}
    assert {variable.name_hint for variable in lowered.kernels} == symbols
    assert len(symbols) == len(plan.kernels) < len(plan.calls)
    names = {variable.name_hint for variable in relax_module(lowered).get_global_vars()}
    assert names == {*symbols, NETWORK, "main"}


def test_lowering_twice_gives_the_same_code_and_constants() -> None:
    plan, target = mobile(3), host()
    schedules, weights = default_schedules(plan, target), random_weights(plan)
    first, second = (lower(plan, weights, schedules, target) for _ in range(2))
    assert np.array_equal(first.constants, second.constants)
    assert str(relax_module(first)) == str(relax_module(second))


def test_a_missing_weight_is_named() -> None:
    plan, target = mobile(3), host()
    weights = random_weights(plan)
    del weights["v1_0.weight"]
    with pytest.raises(KeyError, match=r"v1_0\.weight"):
        lower(plan, weights, default_schedules(plan, target), target)


def test_a_weight_of_another_shape_is_refused() -> None:
    plan, target = mobile(3), host()
    weights = {**random_weights(plan), "v1_0.weight": np.zeros((3, 3), dtype=np.float32)}
    with pytest.raises(ValueError, match=r"weight of step 0 is \(3, 3\)"):
        lower(plan, weights, default_schedules(plan, target), target)


def test_a_network_that_computes_nothing_is_refused() -> None:
    plan = Plan(("x",), (), "x", {"x": (3, 4, 4)})
    with pytest.raises(ValueError, match="computes nothing"):
        lower(plan, {}, {}, host())


@given(st.lists(st.tuples(st.integers(1, 200), st.integers(0, 9), st.integers(0, 5)), max_size=12))
def test_values_alive_together_never_overlap(rows: list[tuple[int, int, int]]) -> None:
    values = [Lifetime(str(i), size, first, first + more) for i, (size, first, more) in enumerate(rows)]
    memory = plan_memory(values)
    for value in values:
        assert memory.offsets[value.name] % ALIGNMENT == 0
        assert memory.offsets[value.name] + value.size <= memory.size
    for one, other in combinations(values, 2):
        if one.first <= other.last and other.first <= one.last:
            begin, end = memory.offsets[one.name], memory.offsets[other.name]
            assert begin + one.size <= end or end + other.size <= begin


def test_the_workspace_is_shared() -> None:
    plan, target = mobile(3, layers=3), host()
    lowered = lower(plan, random_weights(plan), default_schedules(plan, target), target)
    assert lowered.workspace < sum(prod(shape) for shape in plan.types.values())
