"""A standalone network answers as PyTorch does on every machine that is here, and is written only then."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from compiler.codegen.elf import SectionSizes
from compiler.codegen.schedules import default_schedules
from compiler.codegen.to_relax import compile_network, lower
from compiler.codegen.tvm_api import array, main_of
from compiler.kernel import parse
from compiler.target import Target
from runtime.bundle import BundleTarget, Manifest, Tensor
from runtime.checked_bundle import Build, Reference, WrongAnswers
from runtime.cli import app
from runtime.device import cores, host
from runtime.files import FileProblem
from runtime.linker import NoCompiler, compiler_for
from runtime.measure import random_weights
from runtime.standalone import refuse_without_form, write_standalone
from runtime.standalone_check import build_example, machine_for, run_example
from runtime.targets import UnsupportedTarget
from tests.compiler.codegen.plans import PlanBuilder, run_plan
from tests.runtime.standalone_cases import HERE, Case, chain_case, every_kind_case, named
from tests.runtime.test_model_build import saved, small_model

pytest.importorskip("torch")
pytestmark = [pytest.mark.tvm, pytest.mark.torch]


@pytest.fixture(scope="module")
def network() -> Case:
    return every_kind_case()


@pytest.fixture(scope="module")
def chain() -> Case:
    return chain_case()


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
    made = run_example(tmp_path, HERE, network.inputs, network.outputs.shape)
    schedules = default_schedules(network.plan.kernels, target)
    bundle = main_of(compile_network(lower(network.plan, network.weights, schedules, target), target))
    same = [bundle(array(image[None])).numpy()[0] for image in network.inputs]
    np.testing.assert_array_equal(made, np.stack(same))


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


def test_what_cannot_be_started_is_written_and_says_so(
    network: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the temporary folder is mounted so that nothing is run from it."""
    from runtime import standalone_check

    def built(folder: Path, *_: object) -> SectionSizes:
        (folder / "example").write_text("")
        return SectionSizes(1, 2, 3)

    monkeypatch.setattr(standalone_check, "build_example", built)
    reference = Reference("torch", network.inputs, network.outputs)
    found = standalone_check.check(tmp_path, "onepath", "kernels.o", host(), reference)
    assert found.numerical["images"] == 0
    assert "not run here: the example cannot be started ([Errno 13]" in found.numerical["reason"]
    assert (found.sizes, found.stack) == (SectionSizes(1, 2, 3), None)


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
