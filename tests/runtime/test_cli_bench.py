"""`onepath bench BUNDLE` from the command line: tables, files, messages, exit codes."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

import onnx
import pytest
from typer.testing import CliRunner, Result

from runtime.benchmark import read_benchmark
from runtime.cli import app
from runtime.kernel_bench import layers, limits
from runtime.model_build import build_model
from runtime.peers import ncnn
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
    assert lines[0].endswith(" runs of the bundle") or "disturbed" in lines[0]
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
    assert answer == json.loads((tmp_path / "kernels.json").read_text())
    assert (answer["schema"], answer["checksum"][:7]) == ("onepath.kernels/1", "sha256:")
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
        (["--cores", "0,0"], "--cores 0,0: core 0 is named twice"),
        (["--model", "model.onnx"], "--model goes with --peers, --peer NAME or --kernels"),
        (
            ["--kernels", "--plot", "a.png"],
            "a.png: is to be an SVG picture; give it a name that ends in .svg",
        ),
        (["--kernels", "--plot", "no/a.svg"], "no/a.svg: cannot be written: its folder does not exist"),
        (["--save", "no/a.json"], "no/a.json: cannot be written: its folder does not exist"),
        (["--kernels", "--save", "/dev/full"], "/dev/full: is no regular file; give the name of a file"),
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
    assert "`onepath build` makes one" in done.stderr


def test_bundles_below_a_folder_are_named(built: Path) -> None:
    done = call(built.parent)
    assert done.exit_code == 2
    assert done.stderr.endswith(f"; name one of {built / 'bundle'}\n")


def test_a_model_is_to_be_built_first(built: Path) -> None:
    done = call(built.parent / "small.onnx", "--kernels")
    assert done.exit_code == 2
    model = built.parent / "small.onnx"
    said = f"{model} is a model, and bundles are timed: first `onepath build {model}`, then `onepath bench"
    assert done.stderr == f"onepath: {said} runs/small`\n"


def test_a_part_of_a_bundle_is_told_from_it(built: Path) -> None:
    for part in ("model.so", "lib"):
        done = call(built / "bundle" / part)
        assert done.exit_code == 2
        assert done.stderr.endswith(f"is a part of a bundle: name the folder, {built / 'bundle'}\n")
    beside = call(built / "model.onnx")
    assert beside.exit_code == 2
    assert beside.stderr.endswith(f"name the bundle that stands beside it, {built / 'bundle'}\n")


def test_a_file_of_another_kind_is_not_written_over(built: Path, tmp_path: Path) -> None:
    for name, option in (("notes.svg", "--plot"), ("notes.json", "--save")):
        (tmp_path / name).write_text("mine")
        done = call(built, "--kernels", option, tmp_path / name)
        assert done.exit_code == 2
        assert f"{name}: is there already and is not " in done.stderr
        assert (tmp_path / name).read_text() == "mine"


def other_model(folder: Path, name: str) -> Path:
    """A network like the bundle's with other weights, or of another input."""
    model = small_model()
    if name == "weights":
        for tensor in model.graph.initializer:
            if tensor.data_type == onnx.TensorProto.FLOAT:
                turned = -onnx.numpy_helper.to_array(tensor)
                tensor.CopyFrom(onnx.numpy_helper.from_array(turned, tensor.name))
    else:
        model.graph.input[0].type.tensor_type.shape.dim[1].dim_value += 1
    path = folder / f"{name}.onnx"
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("options", [["--peer", "onnxruntime"], ["--kernels"]], ids=["peers", "kernels"])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("weights", "its answers differ from the bundle's by "),
        ("input", "it takes ?x4x9x7, and the bundle 1x3x9x7"),
    ],
)
def test_another_network_is_refused(
    built: Path, tmp_path: Path, options: list[str], name: str, message: str
) -> None:
    path = other_model(tmp_path, name)
    done = call(built, *options, "--model", path)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"onepath: {path}: is not the bundle's network: {message}")
    assert done.stdout == ""


def test_a_peer_that_is_named_must_be_there(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ncnn, "PACKAGES", ("no-such-package",))
    done = call(built, "--peer", "ncnn")
    assert done.exit_code == 2
    assert done.stderr == "onepath: --peer ncnn: not installed: pip install no-such-package\n"


def test_a_peer_that_is_named_and_fails_is_no_success(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = Answers({"onnxruntime": "onnxruntime: RuntimeError: it has had enough"})
    monkeypatch.setattr("runtime.bench.start_peers", refused)
    done = call(built, "--peer", "onnxruntime", "--seconds", 0.1)
    assert done.exit_code == 2
    assert "left out: onnxruntime: RuntimeError: it has had enough" in done.stdout
    assert done.stderr.endswith("onepath: --peer onnxruntime: onnxruntime: RuntimeError: it has had enough\n")
    assert call(built, "--peers", "--seconds", 0.1).exit_code == 0, "a peer of the usual list is left out"


@dataclass
class Answers:
    """Peers of which none starts."""

    left_out: dict[str, str]

    def __call__(self, *arguments: object) -> tuple[dict[str, object], dict[str, str]]:
        return {}, dict(self.left_out)


def test_options_of_bundles_are_refused_for_a_space() -> None:
    space = Path(__file__).resolve().parents[2] / "examples/quickstart.space"
    done = call(space, "--peers")
    assert done.exit_code == 2
    assert done.stderr == "onepath: --peers is for bundles: name the folder, such as runs/quickstart/bundle\n"
