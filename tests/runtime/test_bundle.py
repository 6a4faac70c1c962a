"""A bundle runs with numpy alone, and a changed one is refused before anything of it is loaded."""

from __future__ import annotations

import ast
import dataclasses
import errno
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_model
from PIL import Image

from runtime.build_folder import refuse_inside_bundle
from runtime.bundle import run_bundle, verify, write_bundle
from runtime.bundle_runner.inputs import read_input
from runtime.bundle_runner.manifest import BundleProblem, placement, read_manifest
from runtime.bundle_runner.outputs import softmax
from runtime.bundle_runner.source import runner_source
from runtime.files import FileProblem, write_json

pytestmark = pytest.mark.tvm


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model.bundle(tmp_path_factory.mktemp("bundle") / "tiny", tmp_path_factory.mktemp("library"))


@pytest.fixture
def bundle(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "bundle"))


@pytest.fixture(scope="module")
def image() -> np.ndarray[Any, Any]:
    return np.random.default_rng(5).normal(size=(2, 8, 8)).astype(np.float32)


def probabilities(image: np.ndarray[Any, Any]) -> dict[str, float]:
    chances = softmax(tiny_model.expected(image[None])[0])
    return dict(zip(tiny_model.manifest().labels, chances.tolist(), strict=True))


def answers(folder: Path, *arguments: str) -> list[dict[str, float]]:
    code, out, error = run_bundle(folder, [*arguments, "--json"])
    assert (code, error) == (0, "")
    return [{guess["label"]: guess["probability"] for guess in one} for one in json.loads(out)["predictions"]]


def test_arrays_and_pixels_are_classified(made: Path, tmp_path: Path, image: np.ndarray[Any, Any]) -> None:
    np.save(tmp_path / "a.npy", np.stack([image, -image]))
    first, second = answers(made, str(tmp_path / "a.npy"))
    assert first == pytest.approx(probabilities(image), abs=1e-5)
    assert second == pytest.approx(probabilities(-image), abs=1e-5)
    pixels = np.random.default_rng(6).integers(0, 256, (8, 8, 2), np.uint8)
    np.save(tmp_path / "p.npy", pixels)
    ready = ((pixels / 255 - 0.5) / 0.25).transpose(2, 0, 1).astype(np.float32)
    both = answers(made, str(tmp_path / "a.npy"), str(tmp_path / "p.npy"))
    assert both[2] == pytest.approx(probabilities(ready), abs=1e-4)


def test_it_runs_elsewhere_where_only_numpy_is(
    bundle: Path, tmp_path: Path, image: np.ndarray[Any, Any]
) -> None:
    """A path that holds numpy alone: neither this project nor tvm, tvm_ffi or Pillow can be imported."""
    site = tmp_path / "site"
    site.mkdir()
    package = Path(np.__file__).parent
    for entry in (package, package.with_name("numpy.libs")):
        (site / entry.name).symlink_to(entry)
    np.save(tmp_path / "a.npy", image)
    image.tofile(tmp_path / "a.raw")
    words = [str(tmp_path / "a.npy"), str(tmp_path / "a.raw"), "--bench", "5"]
    start = f"import sys; sys.path.insert(0, {str(site)!r}); sys.argv[1:] = {words}"
    code = f"{start}; import runpy; runpy.run_path({str(bundle / 'runner.py')!r}, run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    first, second, *_ = done.stdout.splitlines()
    assert "ant" in first
    assert first == second
    assert "latency_p50_ms" in done.stdout


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 8, 9), np.float32), "the network takes [2, 8, 8]"),
        (np.zeros((2, 8, 8), np.float64), "is float64; give float32"),
        (np.zeros((5, 7), np.uint8), "the network takes [2, 8, 8]"),
        (np.array([{}]), "is no .npy array"),
        (b"\x93NUMPY\x01\x00" + b"\xff" * 40, "is no .npy array"),
        (b"", "is no .npy array"),
        (b"1 2 3", "is no .npy array: it does not begin as those of numpy.save do"),
        (np.zeros((0, 2, 8, 8), np.float32), "holds no input"),
        (np.full((2, 8, 8), np.nan, np.float32), "holds values that are not finite"),
    ],
)
def test_wrong_input_is_a_message(made: Path, tmp_path: Path, array: Any, message: str) -> None:
    path = tmp_path / "a.npy"
    if isinstance(array, bytes):
        path.write_bytes(array)
    else:
        np.save(path, array, allow_pickle=True)
    code, _, error = run_bundle(made, [str(path)])
    assert code == 2
    assert error.startswith("error: ")
    assert message in error
    assert "Traceback" not in error
    assert "allow_pickle" not in error


def test_a_missing_input_is_a_message(made: Path, tmp_path: Path) -> None:
    for name, message in (
        ("a.npy", "a.npy does not exist"),
        ("", "is a folder; name"),
        ("a.png", "a.png does"),
    ):
        code, _, error = run_bundle(made, [str(tmp_path / name)])
        assert (code, error.count("\n")) == (2, 1)
        assert message in error


def test_images_are_fitted(tmp_path: Path) -> None:
    scale = {"scale": 1 / 255, "mean": [0.0], "std": [1.0]}
    Image.fromarray(np.full((8, 16), 51, np.uint8)).save(tmp_path / "a.png")
    values = read_input(tmp_path / "a.png", {"input": {"shape": [1, 1, 4, 4]}, "preprocessing": scale})
    assert values.shape == (1, 1, 1, 4, 4)
    np.testing.assert_allclose(values, 0.2, rtol=1e-6)


def test_every_changed_file_is_refused(bundle: Path) -> None:
    names = [entry.relative_to(bundle) for entry in bundle.rglob("*") if entry.is_file()]
    assert {"manifest.json", "model.so", "runner.py"} <= {str(name) for name in names}
    random = np.random.default_rng(0)
    for name in names:
        whole = (bundle / name).read_bytes()
        for at in [0, len(whole) - 1, *random.integers(0, len(whole), 8)]:
            (bundle / name).write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            with pytest.raises(FileProblem):
                verify(bundle)
            with pytest.raises(BundleProblem):
                read_manifest(bundle)
        (bundle / name).unlink()
        with pytest.raises(FileProblem):
            run_bundle(bundle, ["x.npy"])
        (bundle / name).write_bytes(whole)
    assert verify(bundle)


def test_links_and_paths_out_of_the_bundle_are_refused(bundle: Path) -> None:
    manifest = verify(bundle).manifest
    (bundle / "model.so").rename(bundle / "kept.so")
    (bundle / "model.so").symlink_to("kept.so")
    with pytest.raises(FileProblem, match="no plain file"):
        verify(bundle)
    payload = dataclasses.asdict(manifest)
    payload["files"]["../bundle/runner.py"] = payload["files"]["runner.py"]
    write_json(bundle / "manifest.json", payload, "onepath.bundle/1")
    with pytest.raises(FileProblem, match=r"lists a file named '\.\./bundle/runner\.py'"):
        verify(bundle)
    del payload["files"]["../bundle/runner.py"], payload["files"]["model.so"]
    write_json(bundle / "manifest.json", payload, "onepath.bundle/1")
    with pytest.raises(FileProblem, match=r"does not list model\.so"):
        verify(bundle)


def test_a_linked_folder_is_refused(bundle: Path, tmp_path: Path) -> None:
    (bundle / "lib").rename(tmp_path / "elsewhere")
    (bundle / "lib").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileProblem, match="no plain file"):
        verify(bundle)
    with pytest.raises(BundleProblem, match="no plain file"):
        read_manifest(bundle)


def test_a_bundle_may_be_reached_through_a_link(made: Path, tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to(made)
    assert verify(tmp_path / "latest")


def test_what_is_no_bundle_is_said_with_the_way_to_one(made: Path, tmp_path: Path) -> None:
    (tmp_path / "bundle").symlink_to(made)
    for read, problem in ((verify, FileProblem), (read_manifest, BundleProblem)):
        with pytest.raises(
            problem, match=f"is the folder of a run; name the bundle in it: {tmp_path}/bundle"
        ):
            read(tmp_path)
        with pytest.raises(problem, match=r"nowhere:? does not exist"):
            read(tmp_path / "nowhere")
        with pytest.raises(problem, match="is no bundle: it has no manifest"):
            read(made / "runner.py")


def test_nothing_is_built_inside_of_a_bundle(made: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(made)
    for folder in (made, made / "deep" / "down", tmp_path / "link" / "new"):
        with pytest.raises(FileProblem, match="is inside of the bundle"):
            refuse_inside_bundle(folder)
    refuse_inside_bundle(made.parent)


def test_a_processor_without_a_feature_is_told(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = dataclasses.replace(tiny_model.manifest().target, features=("sse2", "avx1024f"))
    write_bundle(tmp_path / "b", made / "model.so", tiny_model.manifest(target=target))
    with pytest.raises(FileProblem, match="this processor lacks avx1024f"):
        run_bundle(tmp_path / "b", ["x.npy"])
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(FileProblem, match=f"is for {target.machine}, and this machine is riscv64"):
        run_bundle(tmp_path / "b", ["x.npy"])


def test_a_machine_without_a_runtime_is_told(made: Path, tmp_path: Path) -> None:
    target = dataclasses.replace(tiny_model.manifest().target, machine="riscv64")
    with pytest.raises(
        FileProblem, match=r"does not exist as a package.*bundles can be built for x86_64 and aarch64"
    ):
        write_bundle(tmp_path / "b", made / "model.so", tiny_model.manifest(target=target))


def test_the_same_bundle_has_the_same_bytes(made: Path, tmp_path: Path) -> None:
    again = write_bundle(tmp_path / "again", made / "model.so", tiny_model.manifest())
    for name in [*again.manifest.files, "manifest.json"]:
        assert (again.folder / name).read_bytes() == (made / name).read_bytes()


def test_a_full_disk_leaves_the_old_bundle(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = verify(bundle)
    model, write = bundle / "model.so", os.write
    for limit in range(1, 8):
        calls = [0]

        def failing(descriptor: int, data: Any, calls: list[int] = calls, limit: int = limit) -> int:
            calls[0] += 1
            if calls[0] == limit:
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(descriptor, data)

        monkeypatch.setattr("runtime.files.os.write", failing)
        with pytest.raises(FileProblem, match="No space left"):
            write_bundle(bundle, model, tiny_model.manifest(network="other"))
        monkeypatch.undo()
        assert verify(bundle) == before
    assert [entry.name for entry in bundle.parent.iterdir()] == ["bundle"]
    assert write_bundle(bundle, model, tiny_model.manifest(network="other")).manifest.network == "other"


def test_the_runner_is_one_file_without_a_package() -> None:
    text = runner_source()
    assert "runtime.bundle_runner" not in text
    names = [node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    assert len(set(names)) == len(names), "two parts would take each other's place"


LOAD = """
import sys
import numpy as np
sys.path.insert(0, sys.argv[1])
from runner import load
model = load(sys.argv[1], threads=1, cores=(int(sys.argv[2]),))
print(model.run(np.ones((1, 2, 8, 8), np.float32)).argmax())
"""


def test_threads_and_cores_are_set_where_it_is_loaded(made: Path) -> None:
    core = max(os.sched_getaffinity(0))
    command = [sys.executable, "-B", "-c", LOAD, str(made), str(core)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    best = tiny_model.expected(np.ones((1, 2, 8, 8), np.float32)).argmax()
    assert done.stdout.split() == [str(best)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--threads=2"],
            "error: the bundle was built for 1 thread, and 2 are asked for; build it for as many",
        ),
        (["--threads=0"], "error: 0 threads are asked for; give at least 1"),
        (["--cores=4000"], "error: core 4000 is not among those this process may use: "),
    ],
)
def test_threads_and_cores_that_cannot_be_are_a_message(
    made: Path, tmp_path: Path, image: np.ndarray[Any, Any], options: list[str], message: str
) -> None:
    np.save(tmp_path / "a.npy", image)
    code, out, error = run_bundle(made, [*options, str(tmp_path / "a.npy")])
    assert (code, out) == (2, "")
    assert error.startswith(message)


def test_more_threads_want_more_cores() -> None:
    cores = sorted(os.sched_getaffinity(0))
    assert placement(4, None, cores[:1]) == (1, tuple(cores[:1]))
    assert placement(4, 2) == (2, ())
    with pytest.raises(BundleProblem, match="2 threads on 1 of the cores"):
        placement(4, 2, cores[:1])


@pytest.mark.parametrize(
    ("threads", "cores", "message"),
    [
        (None, (), "an empty list of cores is given"),
        (None, (0, 0), "core 0 is named twice"),
        (None, 1, "cores: 1 is no list of numbers"),
        (None, "01", "cores: '01' is no list of numbers"),
        (None, (0.5,), "cores: 0.5 is no whole number"),
        (None, (-1,), "core -1 is not among those"),
        ("2", None, "threads: '2' is no whole number"),
    ],
)
def test_what_is_no_placement_is_a_message(threads: Any, cores: Any, message: str) -> None:
    with pytest.raises(BundleProblem, match=re.escape(message)):
        placement(4, threads, cores)
