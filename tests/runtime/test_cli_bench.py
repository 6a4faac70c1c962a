"""`onepath bench BUNDLE` from the command line: tables, files, messages, exit codes."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from runtime.benchmark import read_benchmark
from runtime.cli import app
from runtime.files import read_json
from runtime.kernel_bench import layers, limits
from runtime.model_build import build_model
from runtime.targets import resolve
from tests.runtime.test_model_build import saved, small_model

pytestmark = pytest.mark.tvm


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["bench", *map(str, arguments)])


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small model that was built without a measurement."""
    from runtime.experiment import host_settings

    folder = tmp_path_factory.mktemp("built")
    saved(folder, small_model())
    build_model(folder / "small.onnx", resolve(host_settings(None)), folder / "small", trials=0)
    return folder / "small"


def test_a_bundle_is_timed_beside_a_peer(built: Path, tmp_path: Path) -> None:
    done = call(built, "--peer", "onnxruntime", "--seconds", 0.1, "--save", tmp_path / "bench.json")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].endswith(" runs of the bundle") or "busy" in lines[0]
    assert {line.split()[0] for line in lines[2:4]} == {"bundle", "onnxruntime"}
    held = read_benchmark(tmp_path / "bench.json")
    assert held.agreement["bundle_onnxruntime"] < 1e-5
    assert held.peers["onnxruntime"].latency_p10_ms is not None
    assert (held.accuracy_test, held.test_images) == (None, 0)


def test_kernels_are_measured_one_by_one(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PEAK_RUNS", 100)
    monkeypatch.setattr(limits, "READ_BYTES", 1 << 26)
    monkeypatch.setattr(limits, "FEWEST_READS", 2)
    monkeypatch.setattr(limits, "MEMORY_BYTES", 1 << 24)
    monkeypatch.setattr(layers, "PASSES", 1)
    files = ["--save", tmp_path / "kernels.json", "--plot", tmp_path / "roofline.svg"]
    done = call(built, "--kernels", "--sort", "share", "--format", "json", *files)
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    held = read_json(tmp_path / "kernels.json", "onepath.kernels/1")
    assert held["kernels"] == answer["kernels"]
    assert [level["name"] for level in answer["limits"]["levels"]][-1] == "memory"
    for kernel in answer["kernels"]:
        assert kernel["time_us"] > 0
        assert kernel["default_us"] == kernel["time_us"], "it was built by default schedules"
        assert kernel["share_of_bound"] == pytest.approx(kernel["bound_us"] / kernel["time_us"])
        assert bool(kernel["reason"]) == (kernel["share_of_bound"] < 0.5)
    assert ElementTree.parse(tmp_path / "roofline.svg").getroot().tag.endswith("svg")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--sort", "share"], "--sort goes with --kernels"),
        (["--plot", "a.svg"], "--plot goes with --kernels"),
        (["--kernels", "--peers"], "--peers does not go with --kernels"),
        (["--kernels", "--seconds", "1"], "--seconds does not go with --kernels"),
        (["--out", "x"], "--out is for .space files, and this is a folder"),
        (["--restart"], "--restart is for .space files, and this is a folder"),
        (["--peer", "tensorrt"], "no peer is called `tensorrt`; there are onnxruntime, openvino"),
        (["--cores", "a"], "--cores a: write the numbers of cores, as in 0,1"),
        (["--threads", "64"], "the bundle was built for 1 thread, and 64 are asked for"),
        (["--kernels", "--cores", "4000"], "core 4000 is not among those this process may use"),
        (["--peers", "--model", "none.onnx"], "none.onnx: does not exist; name the ONNX file"),
        (["--kernels", "--table", "none.json"], "none.json: does not exist; name the table"),
    ],
)
def test_what_cannot_be_done_is_a_message(built: Path, options: list[str], message: str) -> None:
    done = call(built, *options)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"onepath: {message}")


def test_a_folder_without_a_bundle_is_named(tmp_path: Path) -> None:
    done = call(tmp_path)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"onepath: {tmp_path} is no bundle: it has no manifest.json")


def test_options_of_bundles_are_refused_for_a_space() -> None:
    space = Path(__file__).resolve().parents[2] / "examples/quickstart.space"
    done = call(space, "--peers")
    assert done.exit_code == 2
    assert done.stderr == "onepath: --peers is for bundles: name the folder, such as runs/quickstart/bundle\n"
