"""`onepath build model.onnx` from the command line: options, messages, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from runtime.bundle import run_bundle
from runtime.cli import app
from tests.runtime.test_model_build import saved, small_model

SPACE = "space s { input [3, 8, 8]\noutput [10]\nglobal_pool -> linear(10) }"


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["build", *map(str, arguments)])


@pytest.mark.tvm
def test_a_model_is_built_and_its_bundle_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    saved(tmp_path, small_model())
    done = call("small.onnx", "--trials", 0, "--format", "json")
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert answer["bundle"] == "runs/small/bundle"
    assert answer["max_relative_error"] < 1e-5
    np.save("x.npy", np.ones((3, 9, 7), np.float32))
    code, out, _ = run_bundle(Path("runs/small/bundle"), ["x.npy", "--json"])
    assert code == 0
    (guesses,) = json.loads(out)["predictions"]
    assert len(guesses) == 3
    options = ["bundle", "run", "runs/small/bundle", "x.npy", "--out", "y.npy", "--format", "json"]
    done = CliRunner().invoke(app, options)
    assert done.exit_code == 0, done.output
    written = np.load("y.npy")
    assert written.shape == (1, 5)
    assert written.sum() == pytest.approx(1, abs=1e-5), "the network's own probabilities"
    assert guesses[0]["probability"] == pytest.approx(float(written.max()), abs=1e-6)
    done = CliRunner().invoke(app, ["bundle", "run", "runs/small", "x.npy"])
    assert (done.exit_code, "the bundle in it: runs/small/bundle" in done.stderr) == (2, True)


def test_pixels_are_refused_where_nothing_says_how_to_prepare_them(tmp_path: Path) -> None:
    from runtime.bundle_runner.inputs import read_input
    from runtime.bundle_runner.manifest import BundleProblem

    np.save(tmp_path / "x.npy", np.ones((3, 9, 7), np.uint8))
    (tmp_path / "x.png").touch()
    manifest = {"input": {"shape": [1, 3, 9, 7]}, "preprocessing": {}}
    for name in ("x.npy", "x.png"):
        with pytest.raises(BundleProblem, match="does not say how pixels become the network's input"):
            read_input(tmp_path / name, manifest)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--arch", "a.json"], "--arch is for .space files"),
        (["--search", "s"], "--search is for .space files"),
        (["--space", "s"], "--space is for .space files"),
        (["--set", "epochs=2"], "--set is for .space files"),
        (["--restart"], "--restart is for .space files"),
        (["--target", "phone"], "no target is named `phone`; `onepath targets` lists"),
        (
            ["--budget", "cow"],
            "--budget 'cow' is no time; write a number and `ns`, `us`, `ms`, `s`, `min` or `h`",
        ),
        (["--budget", "20 parsecs"], "--budget '20 parsecs' is no time; write a number and `ns`,"),
        (["--budget", "90"], "--budget '90' is no time; write a number and `ns`,"),
        (
            ["--budget", "-3 s"],
            "--budget '-3 s': a budget is more than 0 s; write it as in '90 s' or '5 min'",
        ),
        (["--budget", "0 s"], "--budget '0 s': a budget is more than 0 s"),
        (["--threads", "2000"], "--threads 2000: "),
        (["--input-shape", "3by3"], "write channels, height and width, as in 3x48x192"),
        ([], "small.onnx cannot be read (No such file or directory)"),
    ],
)
def test_what_a_model_does_not_take_is_said(
    options: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = call("small.onnx", *options)
    assert done.exit_code == 2
    assert message in done.stderr
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("options", "setting"),
    [
        (["--trials", "3"], "--set 'target.trials=3'"),
        (["--threads", "2"], "--set 'target.threads=2'"),
        (["--budget", "60 s"], "--set 'target.tune_budget=60 s'"),
        (["--input-shape", "3x8x8"], "a space says its own `input`"),
    ],
)
def test_what_a_space_does_not_take_is_said(options: list[str], setting: str, tmp_path: Path) -> None:
    (tmp_path / "s.space").write_text(SPACE)
    done = call(tmp_path / "s.space", *options)
    assert done.exit_code == 2
    assert setting in done.stderr


def test_nothing_is_built_inside_of_a_bundle(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    for name in ("manifest.json", "model.so", "runner.py"):
        (bundle / name).touch()
    (tmp_path / "s.space").write_text(SPACE)
    for file in ("s.space", "small.onnx"):
        done = call(tmp_path / file, "--out", bundle / "new")
        assert (done.exit_code, "is inside of the bundle" in done.stderr) == (2, True)
    assert not (bundle / "new").exists()
