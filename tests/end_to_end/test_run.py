"""The whole way on scikit-learn's digits, small: every file, a second run that does nothing, kills that resume."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from runtime.run_folder import RunFolder

pytest.importorskip("sklearn")
pytestmark = [pytest.mark.torch, pytest.mark.tvm, pytest.mark.slow]

TEXT = """
block mb(out, kernel, expand, stride = 1) {
    conv(in.channels * expand, 1) -> bn -> relu6 -> depthwise(kernel, stride) -> bn -> relu6 -> conv(out, 1) -> bn
}
space small {
    input [1, 8, 8]
    output [10]
    conv(8, 3) -> bn -> relu6
    -> residual { choose { mb(8, kernel = choose(3, 5), expand = choose(2, 4)) | skip: zero } }
    -> mb(16, choose(3, 5), 2, stride = 2)
    -> global_pool -> linear(10)
    require params <= 100 K
}
search small {
    data = digits
    latency <= 1 ms on here
    epochs = 2  warmup = 1  batch = 64  seed = 1  profile_budget = 20 s
}
train small { epochs = 12  batch = 64  optimizer = sgd(lr = 0.2) }
target here { trials = 2  tune_budget = 3 s }
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    (folder / "small.space").write_text(TEXT)
    return folder


def onepath(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "runtime", *arguments, "--records", str(place / "records.db")]
    return subprocess.run(command, cwd=place, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def finished(place: Path) -> Path:
    done = onepath(place, "run", "small.space", "--out", "out", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["report"].endswith("report.html")
    return place / "out"


def test_every_value_is_a_file(finished: Path) -> None:
    bench = json.loads((finished / "bench.json").read_text())
    wanted = {
        "accuracy_test", "latency_p50_ms", "latency_p90_ms", "latency_p99_ms", "latency_predicted_ms", "kernels",
        "peers", "untuned_tvm_latency_p50_ms", "stages_s", "versions", "machine", "noise",
    }  # fmt: skip
    assert wanted <= bench.keys()
    assert bench["accuracy_test"] > 0.7
    assert bench["peers"]["onnxruntime"]["latency_p50_ms"] > 0
    assert max(bench["agreement"].values()) < 1e-4
    assert {"signature", "time_ms", "gflops", "share_of_peak"} <= bench["kernels"][0].keys()
    assert set(bench["stages_s"]) == {
        "profile",
        "search",
        "derive",
        "train",
        "export",
        "tune",
        "build",
        "bench",
    }
    for name in (
        "architecture.json",
        "network.graph",
        "network.py",
        "model.onnx",
        "latency/here.json",
        "report.html",
    ):
        assert (finished / name).stat().st_size > 0


def test_a_second_run_does_nothing(place: Path, finished: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (finished / "stages").iterdir()}
    done = onepath(place, "run", "small.space", "--out", "out")
    assert done.returncode == 0
    assert "…" not in done.stderr
    assert {path: path.stat().st_mtime_ns for path in (finished / "stages").iterdir()} == before


def test_a_changed_recipe_trains_again_and_searches_not(place: Path, finished: Path) -> None:
    done = onepath(
        place,
        "run",
        "small.space",
        "--out",
        "out",
        "--set",
        "train.epochs=3",
        "--dry-run",
        "--format",
        "json",
    )
    states = {step["stage"]: step["state"] for step in json.loads(done.stdout)}
    assert [stage for stage, state in states.items() if state == "done"] == ["profile", "search", "derive"]


def test_the_source_runs_without_onepath(finished: Path, tmp_path: Path) -> None:
    program = (
        "import importlib.util, torch\n"
        f"spec = importlib.util.spec_from_file_location('network', {str(finished / 'network.py')!r})\n"
        "module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module)\n"
        "print(tuple(module.Network().eval()(torch.zeros(1, 1, 8, 8)).shape))\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "(1, 10)", done.stderr


def test_the_bundle_answers_by_its_own_runner(place: Path, finished: Path) -> None:
    np.save(place / "image.npy", np.zeros((8, 8, 1), np.uint8))
    command = [sys.executable, str(finished / "bundle/runner.py"), str(place / "image.npy")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_stage_after_stage_is_the_same_as_all_at_once(place: Path, finished: Path, tmp_path: Path) -> None:
    """A run that ends between any two stages goes on with the next: each command adds its own stage alone."""
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    shutil.rmtree(out / "stages")
    (out / "stages").mkdir()
    shutil.copy(finished / "stages/profile.json", out / "stages/profile.json")
    for stage in ("search", "derive", "train", "export", "tune", "build", "bench"):
        done = onepath(place, stage, "small.space", "--out", str(out))
        assert done.returncode == 0, done.stderr
        assert [line.split()[0] for line in done.stderr.splitlines() if line.endswith(" …")] == [stage]
    for name in ("architecture.json", "network.py", "train/weights.safetensors", "model.onnx"):
        assert (out / name).read_bytes() == (finished / name).read_bytes()


def test_a_changed_search_is_searched_anew(place: Path, finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    (out / "architecture.json").write_text((out / "architecture.json").read_text() + "\n")
    done = onepath(place, "search", "small.space", "--out", str(out), "--set", "search.epochs=1")
    assert done.returncode == 0, done.stderr
    assert "architecture.edited.json" in done.stderr
    again = onepath(
        place, "search", "small.space", "--out", str(out), "--set", "search.epochs=1", "--restart"
    )
    assert "search …" in again.stderr


def test_a_target_of_another_name_has_a_table_of_its_own(place: Path, finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    done = onepath(place, "profile", "small.space", "--out", str(out), "--target", "host")
    assert done.returncode == 0, done.stderr
    assert (out / "latency/host.json").is_file()


def test_an_architecture_over_the_cap_is_told(place: Path, finished: Path, tmp_path: Path) -> None:
    given = ["--arch", str(finished / "architecture.json"), "--set", "latency <= 1 ns on here"]
    done = onepath(place, "tune", "small.space", "--out", str(tmp_path / "out"), *given)
    assert done.returncode == 1, done.stderr
    assert "the cap `latency <= 1e-06 ms on here` is not held" in done.stderr


def test_what_cannot_end_well_is_told_at_once(place: Path, finished: Path, tmp_path: Path) -> None:
    (place / "untrained.space").write_text(
        "".join(line for line in TEXT.splitlines(True) if not line.startswith("train "))
    )
    done = onepath(place, "run", "untrained.space", "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert "nothing says how to train `small`" in done.stderr
    assert "profile …" not in done.stderr


def test_a_cap_that_cannot_be_held_is_told(place: Path, finished: Path) -> None:
    done = onepath(place, "search", "small.space", "--out", "capped", "--set", "latency <= 1 ns on here")
    assert done.returncode == 1
    assert "what can be reached is" in done.stderr


def test_a_limit_that_is_broken_is_told(place: Path, finished: Path) -> None:
    text = TEXT.replace("params <= 100 K", "params <= 10")
    (place / "limited.space").write_text(text)
    architecture = str(finished / "architecture.json")
    common = ("limited.space", "--out", "limited", "--arch", architecture, "--set", "target.trials=0")
    for command in (("derive",), ("build", "--standalone", "--set", "train.epochs=1")):
        done = onepath(place, *command, *common)
        assert done.returncode == 1, done.stderr
        assert "`require params <= 10` is not held" in done.stderr
    assert (place / "limited" / "standalone" / "manifest.json").is_file()


@pytest.mark.parametrize("stage", ["profile", "search", "train"])
def test_a_killed_run_goes_on_and_ends_the_same(
    place: Path, finished: Path, stage: str, tmp_path: Path
) -> None:
    """Killed while a stage is under way; the architecture and the weights are those of an undisturbed run."""
    command = [sys.executable, "-m", "runtime", "train", "small.space", "--out", str(tmp_path / "out")]
    command += ["--records", str(place / "records.db")]
    process = subprocess.Popen(command, cwd=place, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(f"{stage} …"):
            break
    log = tmp_path / "out" / stage / f"{stage}.jsonl"
    while stage != "profile" and not (log.is_file() and log.read_bytes().count(b"\n") > 2):
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert RunFolder(tmp_path / "out").record(stage) is None
    # The table of the undisturbed run: a table is measured, so that two are never the same.
    for name in ("latency/here.json", "stages/profile.json"):
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / name).write_bytes((finished / name).read_bytes())
    done = onepath(place, "train", "small.space", "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    for name in ("architecture.json", "train/weights.safetensors"):
        assert (tmp_path / "out" / name).read_bytes() == (finished / name).read_bytes()


def test_two_runs_never_share_a_folder(place: Path, finished: Path) -> None:
    from runtime.files import folder_lock

    with folder_lock(finished):
        done = onepath(place, "run", "small.space", "--out", "out")
    assert done.returncode == 2
    assert "lock" in done.stderr or "another" in done.stderr or "in use" in done.stderr
