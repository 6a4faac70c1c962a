"""A standalone network answers as PyTorch does on every machine that is here, allocates nothing, and links anywhere."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from compiler.codegen.schedules import default_schedules
from compiler.codegen.static_network import static_network
from compiler.codegen.to_c import View
from compiler.codegen.to_relax import compile_network, lower
from compiler.codegen.tvm_api import array, main_of
from compiler.ir.graph import Network
from compiler.kernel import parse
from compiler.passes.fold import for_inference
from compiler.passes.fuse import Plan, fuse
from compiler.target import Target
from runtime.bundle import BundleTarget, Manifest, Tensor
from runtime.checked_bundle import Build, Reference, WrongAnswers
from runtime.cli import app
from runtime.device import cores, host
from runtime.experiment import host_settings
from runtime.files import FileProblem
from runtime.linker import NoCompiler, compiler_for
from runtime.measure import random_weights
from runtime.standalone import refuse_without_form, write_standalone
from runtime.standalone_check import Machine, build_example, machine_for, run_example
from runtime.standalone_files import write_files
from runtime.targets import UnsupportedTarget, resolve
from tests.compiler.codegen.chains import CHAINS, chained
from tests.compiler.codegen.plans import PlanBuilder, run_plan
from tests.compiler.codegen.reference import pool
from tests.compiler.operator_cases import randomised
from tests.runtime.test_model_build import saved, small_model
from tests.small_spaces import Wiring

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.tvm, pytest.mark.torch]
Array = np.ndarray[Any, Any]
INPUTS = 100


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
        return write_files(network, target, folder, name, name)


@pytest.fixture(scope="module")
def network() -> Case:
    from compiler.nets.network import build_network

    made = every_kind()
    module = randomised(build_network(made)).eval()
    inputs = np.random.default_rng(0).standard_normal((INPUTS, 3, 9, 8), dtype=np.float32)
    with torch.no_grad():
        outputs = module(torch.from_numpy(inputs)).numpy()
    parameters = {key: tensor.contiguous().numpy() for key, tensor in module.state_dict().items()}
    ready, weights = for_inference(made, parameters)
    return Case(fuse(ready), weights, inputs, outputs)


@pytest.fixture(scope="module")
def chain() -> Case:
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


def agrees(case: Case, target: Target, folder: Path) -> None:
    """The example, built and run for the target, agrees with PyTorch."""
    machine = machine_for(target)
    if isinstance(machine, str):
        pytest.skip(machine)
    try:
        compiler = compiler_for(target)
    except NoCompiler as problem:
        pytest.skip(str(problem))
    view = case.write(target, folder)
    build_example(folder, "onepath", view.kernels, compiler, machine.static)
    outputs = run_example(folder, machine, case.inputs, case.outputs.shape)
    np.testing.assert_allclose(outputs, case.outputs, rtol=1e-4, atol=1e-4 * np.abs(case.outputs).max())


@pytest.mark.parametrize("name", ["host", "c", "raspberry_pi_5", "riscv64", "riscv64_v", "armv7"])
def test_every_machine_agrees_on_a_hundred_inputs(name: str, network: Case, tmp_path: Path) -> None:
    agrees(network, named(name), tmp_path)


@pytest.mark.skipif(len(cores()) < 2, reason="this machine has one core")
def test_memory_of_their_own_on_two_threads(chain: Case, tmp_path: Path) -> None:
    agrees(chain, named("host", 2), tmp_path)


@pytest.mark.parametrize("name", ["host", "c", "armv7"])
def test_kernels_with_memory_of_their_own(name: str, chain: Case, tmp_path: Path) -> None:
    agrees(chain, named(name), tmp_path)
    assert "_allocate(" in (tmp_path / "onepath.c").read_text()


def test_biases_of_two_vectors_on_32_bit_arm(tmp_path: Path) -> None:
    """LLVM's optimiser of loads reads the second vector of biases from the wrong place, where it is let."""
    convolution = "conv(%0, out=48, kernel=1, stride=1, padding=0, dilation=1, groups=1, bias=true)"
    kernel = parse(f"f32 nhwc (16x14x14) {convolution}; relu6(%1)")
    builder = PlanBuilder(kernel.inputs[0])
    plan = builder.plan(builder.add(kernel, "x"))
    weights = random_weights(plan)
    inputs = np.random.default_rng(0).standard_normal((2, *kernel.inputs[0]), dtype=np.float32)
    case = Case(plan, weights, inputs, np.stack([run_plan(plan, weights, each) for each in inputs]))
    agrees(case, named("armv7"), tmp_path)


@pytest.mark.parametrize("threads", [1, 2])
def test_its_numbers_are_the_bundle_s(threads: int, network: Case, tmp_path: Path) -> None:
    target = replace(host(), threads=threads)
    view = network.write(target, tmp_path)
    build_example(tmp_path, "onepath", view.kernels, compiler_for(target), static=False)
    made = run_example(
        tmp_path, Machine((), "this machine", static=False), network.inputs, network.outputs.shape
    )
    schedules = default_schedules(network.plan.kernels, target)
    bundle = main_of(compile_network(lower(network.plan, network.weights, schedules, target), target))
    same = [bundle(array(image[None])).numpy()[0] for image in network.inputs]
    np.testing.assert_array_equal(made, np.stack(same))


STRICT = ["-std=c99", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wmissing-prototypes", "-Werror"]
SANITIZERS = "-fsanitize=address,undefined", "-fno-sanitize-recover=all"


@pytest.mark.parametrize(("name", "threads"), [("host", 2), ("c", 1)])
def test_the_c_is_free_of_warnings_and_of_faults(
    name: str, threads: int, network: Case, chain: Case, tmp_path: Path
) -> None:
    for case in (network, chain):
        folder = tmp_path / str(len(case.plan.calls))
        folder.mkdir()
        view = case.write(named(name, threads), folder)
        compile_host(
            folder, "gcc", [*STRICT, *SANITIZERS, "onepath.c", "main.c", view.kernels, "weights.S"], "example"
        )
        machine = Machine((), "this machine", static=False)
        outputs = run_example(folder, machine, case.inputs[:3], case.outputs[:3].shape)
        np.testing.assert_allclose(
            outputs, case.outputs[:3], rtol=1e-4, atol=1e-4 * np.abs(case.outputs).max()
        )


CLOSED_HEAP = r"""
#include <stddef.h>
#include <stdlib.h>
#include "onepath.h"
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
static int closed;
void *malloc(size_t size) { if (closed) abort(); return __libc_malloc(size); }
void *calloc(size_t count, size_t size) { if (closed) abort(); return __libc_calloc(count, size); }
void *realloc(void *block, size_t size) { if (closed) abort(); return __libc_realloc(block, size); }
static float input[ONEPATH_INPUT_SIZE], output[ONEPATH_OUTPUT_SIZE];
int main(void) {
    if (onepath_start() != 0) return 2;
    closed = 1;
    for (int turn = 0; turn < 3; ++turn)
        if (onepath_infer(input, output) != 0) return 3;
    closed = 0;
    onepath_stop();
    return malloc(1) == NULL;
}
"""


def compile_host(folder: Path, compiler: str, sources: list[str], program: str = "program") -> Path:
    """A program of sources and objects in a folder, by the system's own compiler."""
    if shutil.which(compiler) is None:
        pytest.skip(f"there is no {compiler}")
    command = [compiler, "-O1", "-o", program, *sources, "-lm", "-pthread"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / program


@pytest.mark.parametrize("threads", [1, 2])
def test_nothing_is_allocated_after_the_start(threads: int, network: Case, tmp_path: Path) -> None:
    network.write(replace(host(), threads=threads), tmp_path)
    (tmp_path / "closed.c").write_text(CLOSED_HEAP)
    sources = ["closed.c", "onepath.c", "kernels.o", "weights.S"]
    assert subprocess.run([compile_host(tmp_path, "gcc", sources)], check=False).returncode == 0


TWO_NETWORKS = r"""
#include <cstdio>
#include "first.h"
#include "second.h"
static float input[FIRST_INPUT_SIZE + 1], output[2][FIRST_OUTPUT_SIZE + 1];
int main() {
    float *given = input + 1;  // aligned as a float and no better
    for (int i = 0; i < FIRST_INPUT_SIZE; ++i) given[i] = float(i % 7) - 3;
    for (int turn = 0; turn < 2; ++turn) {
        if (first_infer(given, output[0] + 1) != 0 || second_infer(given, output[1] + 1) != 0) return 2;
        first_stop();  // and started again by the next call
    }
    for (int i = 1; i <= FIRST_OUTPUT_SIZE; ++i)
        if (output[0][i] != output[1][i] || output[0][i] == 0) return 3;
    return 0;
}
"""


def test_two_networks_in_one_program_in_cpp(network: Case, tmp_path: Path) -> None:
    (tmp_path / "two.cpp").write_text(TWO_NETWORKS)
    objects = []
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        network.write(replace(host(), threads=2), folder, name)
        made = subprocess.run(
            ["make", "-s", f"lib{name}.a"], cwd=folder, capture_output=True, text=True, check=False
        )
        assert (made.returncode, made.stderr) == (0, "")
        objects += [f"-I{name}", f"{name}/lib{name}.a"]
    program = compile_host(tmp_path, "g++", ["two.cpp", *objects])
    assert subprocess.run([program], check=False).returncode == 0


def manifest(case: Case) -> Manifest:
    target = BundleTarget("host", "cpu", "triple", "machine")
    shapes = Tensor((1, *case.inputs.shape[1:]), "NCHW"), Tensor((1, *case.outputs.shape[1:]), "NC")
    return Manifest("every_kind", target, *shapes, (), {})


def test_wrong_answers_are_not_written(network: Case, tmp_path: Path) -> None:
    build = Build(network.plan, network.weights, default_schedules(network.plan.kernels, host()), host())
    wrong = Reference("torch", network.inputs[:2], network.outputs[:2] + 1)
    with pytest.raises(WrongAnswers, match="differs from that of torch"):
        write_standalone(tmp_path / "standalone", build, manifest(network), wrong)
    assert not list(tmp_path.iterdir())
    (tmp_path / "mine.txt").touch()
    with pytest.raises(FileProblem, match="is no standalone network"):
        write_standalone(tmp_path, build, manifest(network), wrong)


def test_targets_without_the_form() -> None:
    with pytest.raises(UnsupportedTarget, match="runs on one thread"):
        refuse_without_form(replace(named("c"), threads=2))
    with pytest.raises(UnsupportedTarget, match="for Linux"):
        refuse_without_form(replace(host(), triple="arm64-apple-darwin23"))


def test_without_a_compiler_it_says_that_it_was_not_run(
    network: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runtime import standalone_check

    def none(_: Target) -> None:
        raise NoCompiler("there is no C compiler for it; install one")

    monkeypatch.setattr(standalone_check, "compiler_for", none)
    reference = Reference("torch", network.inputs, network.outputs)
    found = standalone_check.check(tmp_path, "onepath", "kernels.o", named("armv7"), reference)
    assert found.numerical == {
        "images": 0,
        "reason": "not built here: there is no C compiler for it; install one",
    }
    assert found.sizes is None


def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    saved(tmp_path, small_model())

    def call(*arguments: str) -> Any:
        return CliRunner().invoke(app, ["build", "small.onnx", "--trials", "0", *arguments])

    done = call("--standalone", "--target", "c", "--name", "tiny", "--format", "json")
    assert done.exit_code == 0, done.output
    answer, folder = json.loads(done.stdout), Path("runs/small/standalone")
    found = json.loads((folder / "manifest.json").read_text())
    assert answer["standalone"] == str(folder)
    assert answer["flash_bytes"] == found["sizes"]["flash_bytes"] > 4000
    assert found["schema"] == "onepath.standalone/1"
    assert {"tiny.c", "tiny.h", "kernels.c", "weights.bin", "main.c"} < found["files"].keys()
    assert found["numerical_check"]["max_relative_error"] < 1e-5
    assert sorted(path.name for path in folder.iterdir()) == sorted([*found["files"], "manifest.json"])
    for arguments, message in (
        (["--target", "c"], "no bundle holds; build with `--standalone`"),
        (["--name", "x"], "--name is for --standalone"),
        (["--standalone", "--name", "9"], "`9` is no name for C"),
        (["--standalone", "--target", "c", "--threads", "2"], "C source runs on one thread"),
        (["--standalone", "--target", "cuda_sm_86"], "its kernels run on a GPU"),
    ):
        done = call(*arguments)
        assert (done.exit_code, message in done.stderr) == (2, True), done.stderr
