"""A bundle for aarch64 is checked here under QEMU, by the C++ runner that it carries."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from dsl.known_targets import known_targets
from runtime import checked_bundle, device
from runtime.bench_contender import BenchProblem
from runtime.bundle import Bundle, Manifest, Tensor, verify, write_bundle
from runtime.checked_bundle import Build, Reference, WrongAnswers, bundle_target, write_checked
from runtime.emulated import Emulator, NotEmulated, emulated_answers, emulator_for
from runtime.features import needed_flags
from runtime.measure import random_weights
from runtime.targets import resolve
from runtime.tvm_libraries import is_kept
from tests.compiler.codegen.plans import default_schedules, mobile, run_plan

pytestmark = pytest.mark.tvm
TARGET = dataclasses.replace(resolve(known_targets()["raspberry_pi_5"].settings), threads=2)
PLAN, SHAPE, CLASSES = mobile(), (3, 16, 16), 7
WEIGHTS = random_weights(PLAN)
IMAGES = 100
BUILD = Build(PLAN, WEIGHTS, default_schedules(PLAN, TARGET), TARGET)


@pytest.fixture(scope="module")
def emulator() -> Emulator:
    """The emulator, with all that a bundle for it needs; pip is not asked for TVM's libraries."""
    try:
        found = emulator_for(TARGET)
    except NotEmulated as reason:
        pytest.skip(str(reason))
    if not is_kept(TARGET.machine):
        pytest.skip("TVM's runtime for aarch64 was not fetched; a build for such a target does so")
    return found


@pytest.fixture(scope="module")
def reference() -> Reference:
    random = np.random.default_rng(2)
    colours = 4 * random.standard_normal((IMAGES, SHAPE[0], 1, 1), dtype=np.float32)
    inputs = colours + random.standard_normal((IMAGES, *SHAPE), dtype=np.float32)
    outputs = [run_plan(PLAN, WEIGHTS, image).reshape(CLASSES) for image in inputs]
    return Reference("torch", inputs, np.stack(outputs))


def manifest(*features: str) -> Manifest:
    target = bundle_target(TARGET)
    if features:
        target = dataclasses.replace(target, features=features)
    tensors = Tensor((1, *SHAPE), "NCHW"), Tensor((1, CLASSES), "NC")
    return Manifest("mobile", target, *tensors, (), {}, "logits")


@pytest.fixture(scope="module")
def made(emulator: Emulator, reference: Reference, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_checked(tmp_path_factory.mktemp("cross") / "bundle", BUILD, manifest(), reference)


@pytest.fixture
def compiled(made: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build that has its model already: what follows is not about compiling it."""
    model = made.folder / "model.so"
    monkeypatch.setattr(checked_bundle, "compile_plan", lambda *given: shutil.copyfile(model, given[-1]))


def test_its_numbers_are_compared_under_the_emulator(
    made: Bundle, emulator: Emulator, reference: Reference
) -> None:
    check = verify(made.folder).manifest.numerical_check
    assert 0 < check.pop("max_relative_error") <= 1e-5
    assert check == {"reference": "torch", "images": IMAGES, "limit": 1e-4, "by": "qemu-aarch64"}
    assert made.manifest.target.features == ("asimd", "asimddp", "asimdhp", "atomics")
    outputs = emulated_answers(made, emulator, reference.inputs)
    assert (outputs.argmax(1) == reference.outputs.argmax(1)).all()
    assert len(set(outputs.argmax(1))) > 2


@pytest.mark.usefixtures("compiled")
def test_wrong_answers_leave_nothing(
    reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = reference.outputs * np.float32(1.001)
    monkeypatch.setattr(checked_bundle, "emulated_answers", lambda *_: wrong)
    with pytest.raises(WrongAnswers, match=r"differs from that of torch by 1.00e-03"):
        write_checked(tmp_path / "b", BUILD, manifest(), reference)
    assert not [*tmp_path.iterdir()]


def test_what_the_emulated_processor_lacks_is_said(
    made: Bundle, emulator: Emulator, reference: Reference, tmp_path: Path
) -> None:
    more = write_bundle(tmp_path / "b", made.folder / "model.so", manifest("asimd", "sve9"))
    with pytest.raises(NotEmulated, match=r"^under qemu-aarch64: .*this processor lacks sve9"):
        emulated_answers(more, emulator, reference.inputs)


@pytest.mark.usefixtures("compiled")
def test_a_bundle_that_cannot_be_emulated_is_written_unchecked(
    reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.emulated.emulator", lambda machine: None)
    check = write_checked(tmp_path / "b", BUILD, manifest(), reference).manifest.numerical_check
    assert check.pop("images") == 0
    assert re.match(
        r"not run here: it is aarch64.*; .* install an emulator \(qemu-user-static\)", check.pop("reason")
    )
    assert not check


@pytest.mark.parametrize(
    ("compiler", "program", "message"),
    [
        ("false", "true", "the bundle's runner cannot be built: false ended with status 1"),
        ("true", "crashes", r"the bundle fails under crashes \(status -11\): it does not say why"),
        ("true", "refuses", r"the bundle fails under refuses \(status 2\): it was changed"),
    ],
)
def test_a_runner_that_fails_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiler: str, program: str, message: str
) -> None:
    for name, does in (("crashes", "kill -SEGV $$"), ("refuses", "echo 'error: it was changed' >&2; exit 2")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    bundle = Bundle(tmp_path, manifest(), b"")
    with pytest.raises(BenchProblem, match=message):
        emulated_answers(bundle, Emulator(compiler, program, "/"), np.zeros((1, *SHAPE), np.float32))


def test_only_code_of_another_processor_is_emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: name)
    assert emulator_for(TARGET) == Emulator(
        "aarch64-linux-gnu-g++", "qemu-aarch64-static", "/usr/aarch64-linux-gnu"
    )
    for target in (device.host(), *(resolve(known_targets()[name].settings) for name in ("c", "cuda_sm_86"))):
        with pytest.raises(NotEmulated, match="nothing emulates it here"):
            emulator_for(target)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(NotEmulated, match=r"install a C\+\+ compiler for aarch64"):
        emulator_for(TARGET)


def test_the_runner_knows_every_feature_that_a_target_needs() -> None:
    template = Path(checked_bundle.__file__).parents[1] / "compiler/codegen/templates/cpp/machine.hpp.j2"
    text = template.read_text()
    for known in known_targets().values():
        target = resolve(known.settings)
        if target.machine == "aarch64":
            assert all(f'{{"{flag}", AT_HWCAP' in text for flag in needed_flags(target))
