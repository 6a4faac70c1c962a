"""Networks that tests write in the standalone form, with what PyTorch makes of their inputs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from compiler.codegen.schedules import default_schedules
from compiler.codegen.static_network import static_network
from compiler.codegen.to_c import View
from compiler.ir.graph import Network
from compiler.passes.fold import for_inference
from compiler.passes.fuse import Plan, fuse
from compiler.target import Target
from runtime.experiment import host_settings
from runtime.measure import random_weights
from runtime.standalone_check import Machine
from runtime.standalone_files import write_files
from runtime.targets import resolve
from tests.compiler.codegen.chains import CHAINS, chained
from tests.compiler.codegen.plans import PlanBuilder, run_plan
from tests.compiler.codegen.reference import pool
from tests.compiler.operator_cases import randomised
from tests.small_spaces import Wiring

Array = np.ndarray[Any, Any]
INPUTS = 100
HERE = Machine((), "this machine", static=False)


def every_kind() -> Network:
    """Convolutions, pooling, a squeeze-excite, a concatenation, a residual, attention, dense layers."""
    wiring = Wiring()
    start = wiring.put("stem", "conv", wiring.enter((3, 9, 8)), out=8, kernel=3, stride=2)
    start = wiring.put("act", "relu6", wiring.put("bn", "bn", start))
    deep = wiring.put("swish", "hswish", wiring.put("deep", "depthwise", start, kernel=3))
    gate = wiring.put("squeeze", "linear", wiring.put("gap", "global_pool", deep), out=4)
    gate = wiring.put("gate", "hsigmoid", wiring.put("excite", "linear", gate, out=8))
    value = wiring.put("add", "add", wiring.put("scale", "mul", deep, gate), start)
    left = wiring.put("left", "max_pool", value, kernel=3, stride=1)
    value = wiring.put("both", "concat", left, wiring.put("right", "avg_pool", value, kernel=3, stride=1))
    tokens = wiring.put("tokens", "tokens", wiring.put("point", "conv", value, out=12, kernel=1))
    parts = [
        wiring.put(name, "linear", wiring.put(f"{name}_norm", "layer_norm", tokens), out=12) for name in "qkv"
    ]
    tokens = wiring.put("residual", "add", tokens, wiring.put("attend", "attention", *parts, heads=3))
    value = wiring.put("mean", "global_pool", wiring.put("gelu", "gelu", tokens))
    return Network("every_kind", wiring.build(wiring.put("head", "linear", value, out=5)))


@dataclass(frozen=True)
class Case:
    """A plan with weights, inputs, and what PyTorch makes of them."""

    plan: Plan
    weights: dict[str, Array]
    inputs: Array
    outputs: Array

    def write(self, target: Target, folder: Path, name: str = "onepath") -> View:
        schedules = default_schedules(self.plan.kernels, target)
        network = static_network(self.plan, self.weights, schedules, target, name)
        view = write_files(network, target, folder, name, name)
        assert view.uses_threads == (target.threads > 1)
        return view


@cache
def every_kind_case() -> Case:
    """A network of every kind of kernel."""
    import torch

    from compiler.nets.network import build_network

    made = every_kind()
    module = randomised(build_network(made)).eval()
    inputs = np.random.default_rng(0).standard_normal((INPUTS, 3, 9, 8), dtype=np.float32)
    with torch.no_grad():
        outputs = module(torch.from_numpy(inputs)).numpy()
    parameters = {key: tensor.contiguous().numpy() for key, tensor in module.state_dict().items()}
    ready, weights = for_inference(made, parameters)
    return Case(fuse(ready), weights, inputs, outputs)


@cache
def chain_case() -> Case:
    """A chain through line buffers, whose kernel takes memory of its own, and an image as the result."""
    kernel = chained(CHAINS[0])
    builder = PlanBuilder(kernel.inputs[0])
    value = builder.add(pool("avg_pool", kernel.output, 3, 1, 1), builder.add(kernel, "x"))
    plan = builder.plan(value)
    weights = random_weights(plan)
    inputs = np.random.default_rng(0).standard_normal((3, *kernel.inputs[0]), dtype=np.float32)
    return Case(plan, weights, inputs, np.stack([run_plan(plan, weights, each) for each in inputs]))


def named(name: str, threads: int = 1) -> Target:
    return resolve(host_settings(name, threads=threads))
