"""The C++ runner that a bundle carries answers as the Python runner does, and refuses what that refuses."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tiny_copies
import tiny_model
from hostile_inputs import DATA, PLAIN, hostile, npy
from PIL import Image

from runtime.bundle import run_bundle, write_bundle
from runtime.bundle_runner.inputs import read_input
from runtime.bundle_runner.manifest import BundleProblem, read_manifest

pytestmark = [
    pytest.mark.tvm,
    pytest.mark.skipif(shutil.which("g++") is None, reason="there is no g++ to build the runner with"),
]
COLOUR, GRAY = (1, 3, 5, 4), (1, 1, 4, 6)
STRICT = ("-Wall", "-Wextra", "-Werror")
SANITISED = ("-O0", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
LABELS = ("ant", 'a "bee" \\', "Käfer ??/")
Run = tuple[int, str, str]


def build(bundle: Path, *options: str) -> None:
    """Build the runner by the line that stands in its head, beside the bundle."""
    head = (bundle / "cpp" / "runner.cpp").read_text()
    line = re.search(r"^//     (g\+\+ .*)$", head, re.MULTILINE)
    assert line is not None
    command = [*line[1].split(), *STRICT, *options]
    done = subprocess.run(command, cwd=bundle, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def run(bundle: Path, *arguments: object) -> Run:
    """Run the runner beside a bundle."""
    return start(bundle.with_name("runner"), f"--bundle={bundle}", *arguments)


def start(program: Path, *arguments: object) -> Run:
    """Run a program with nothing of its own in the environment."""
    environment = {"ASAN_OPTIONS": "detect_leaks=0"}
    command = [str(program), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny classifier's bundle, as if built for two threads, with its runner, moved to another folder."""
    library = tiny_model.library(tmp_path_factory.mktemp("library"))
    target = dataclasses.replace(tiny_model.manifest().target, threads=2)
    manifest = tiny_model.manifest(target=target, labels=LABELS)
    bundle = write_bundle(tmp_path_factory.mktemp("bundle") / "tiny", library, manifest).folder
    build(bundle)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    shutil.move(bundle.with_name("runner"), elsewhere)
    return Path(shutil.move(bundle, elsewhere / "copied"))


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return tiny_copies.libraries(tmp_path_factory.mktemp("copies"), COLOUR, GRAY)


@pytest.fixture(scope="module")
def colour(libraries: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that gives its input back; its runner looks for wrong memory accesses and undefined behaviour."""
    bundle = tiny_copies.bundle(tmp_path_factory.mktemp("colour") / "b", libraries[0], COLOUR)
    build(bundle, *SANITISED)
    return bundle


@pytest.fixture(scope="module")
def gray(libraries: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of a single channel, its runner built by CMake where that is."""
    bundle = tiny_copies.bundle(tmp_path_factory.mktemp("gray") / "b", libraries[1], GRAY)
    if shutil.which("cmake") is None:
        build(bundle)
        return bundle
    for command in (["cmake", "-S", "cpp", "-B", "../build"], ["cmake", "--build", "../build"]):
        subprocess.run(command, cwd=bundle, capture_output=True, check=True)
    (bundle.parent / "build" / "runner").rename(bundle.with_name("runner"))
    return bundle


def save_inputs(folder: Path, shape: tuple[int, ...]) -> list[Path]:
    """Every kind of file that both runners take."""
    random, (channels, rows, columns) = np.random.default_rng(3), shape[1:]
    values = (random.normal(size=(2, *shape[1:])) * 10.0 ** random.integers(-9, 20, shape[1:])).astype(
        np.float32
    )
    values[0, 0, 0, :2] = 0.1, -0.0
    pixels = random.integers(0, 256, (2, rows, columns, channels), np.uint8)
    picture = pixels[0, ..., 0] if channels == 1 else pixels[0]
    arrays = {
        "one": values[0],
        "two": values,
        "fortran": np.asfortranarray(values),
        "last": pixels,
        "picture": picture,
        "first": np.moveaxis(pixels, -1, 1).copy(),
        "pixels_fortran": np.asfortranarray(pixels[0]),
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    for version in (1, 2, 3):
        text = PLAIN.replace("3, 5, 4", ", ".join(map(str, shape[1:]))) + " " * version
        (folder / f"odd{version}.NPY").write_bytes(npy(text, values[1].tobytes() + b"more", version))
    values[1].tofile(folder / "values.raw")
    pixels[1].tofile(folder / "pixels.bin")
    for name, size in (
        ("a", (columns, rows)),
        ("b", (33, 31)),
        ("c", (2, 3)),
        ("d", (1, 90)),
        ("e", (90, 1)),
    ):
        for kind, suffix in (((), "pgm"), ((3,), "ppm")):
            image = random.integers(0, 256, (*size[::-1], *kind), np.uint8)
            Image.fromarray(image).save(folder / f"{name}.{suffix}")
    (folder / "text.pnm").write_bytes(b"P3 # colours\n2 1 255\n1 2 3 # first\n 4 5 6")
    return sorted(folder.iterdir())


@pytest.mark.parametrize("name", ["colour", "gray"])
def test_the_network_is_given_the_same(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    bundle: Path = request.getfixturevalue(name)
    shape = COLOUR if name == "colour" else GRAY
    (tmp_path / "in").mkdir()
    paths = save_inputs(tmp_path / "in", shape)
    manifest = read_manifest(bundle)
    expected = np.concatenate([read_input(path, manifest)[:, 0] for path in paths])
    assert run(bundle, *paths, "--out", tmp_path / "y.npy")[::2] == (0, "")
    got = np.load(tmp_path / "y.npy")
    np.testing.assert_array_equal(got.view(np.uint32), expected.view(np.uint32))
    np.save(tmp_path / "same.npy", got)
    assert (tmp_path / "same.npy").read_bytes() == (tmp_path / "y.npy").read_bytes()


def without_mean(text: str) -> str:
    """JSON without the mean, whose last digits depend on the order of the additions."""
    return re.sub(r'"mean": [^,]+', "", text)


def test_values_are_printed_alike(gray: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    paths = save_inputs(tmp_path / "in", GRAY)
    assert run(gray, *paths) == run_bundle(gray, list(map(str, paths)))
    ours, theirs = run(gray, "--json", *paths), run_bundle(gray, ["--json", *map(str, paths)])
    assert (ours[0], without_mean(ours[1])) == (theirs[0], without_mean(theirs[1]))
    means = [[each["mean"] for each in json.loads(text)["outputs"]] for text in (ours[1], theirs[1])]
    np.testing.assert_allclose(*means)


def test_labels_are_printed_alike(made: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.random.default_rng(1).normal(size=(5, 2, 8, 8)).astype(np.float32))
    path = str(tmp_path / "a.npy")
    for options in (
        [],
        ["--top", "1"],
        ["--top=9", "--threads", "1"],
        [f"--cores={max(os.sched_getaffinity(0))}"],
    ):
        assert run(made, path, *options) == run_bundle(made, [path, *options])
    ours, theirs = run(made, path, "--json"), run_bundle(made, [path, "--json"])
    assert without_mean(ours[1]) == without_mean(theirs[1])
    code, out, _ = run(made, path, "--bench", "30")
    names, times = zip(*(line.split() for line in out.splitlines()[5:]), strict=True)
    assert (code, names) == (0, ("latency_p50_ms", "latency_p90_ms", "latency_p99_ms"))
    assert 0 < float(times[0]) <= float(times[1]) <= float(times[2])
    timed = json.loads(run(made, path, "--bench=3", "--json")[1])
    assert timed.keys() == json.loads(run_bundle(made, [path, "--bench=3", "--json"])[1]).keys()


def test_hostile_inputs_are_a_message(colour: Path, tmp_path: Path) -> None:
    manifest = read_manifest(colour)
    count = 0
    for name, content in hostile():
        path = tmp_path / name
        path.write_bytes(content)
        code, out, error = run(colour, path)
        assert (code, out, error.count("\n")) == (2, "", 1), (name, content[:80], error)
        with pytest.raises(BundleProblem) as refused:
            read_input(path, manifest)
        # What stands in brackets is numpy's own reason.
        assert error.strip().partition(" (")[0] == f"error: {refused.value}".partition(" (")[0]
        count += 1
    assert count > 60


def test_what_is_no_file_of_numbers_is_a_message(colour: Path, tmp_path: Path) -> None:
    (tmp_path / "folder.npy").mkdir()
    os.mkfifo(tmp_path / "pipe.npy")
    (tmp_path / "a.npz").write_bytes(DATA)
    (tmp_path / "a.png").write_bytes(DATA)
    with (tmp_path / "large.ppm").open("wb") as file:
        file.write(b"P3 4 5 255 ")
        file.truncate(1 << 40)
    manifest = read_manifest(colour)
    for name in (
        "folder.npy",
        "pipe.npy",
        "a.npz",
        "large.ppm",
        "none.npy",
        "a.npz/b.npy",
        f"{'x' * 300}.npy",
        "",
    ):
        code, _, error = run(colour, tmp_path / name)
        with pytest.raises(BundleProblem) as refused:
            read_input(tmp_path / name, manifest)
        assert (code, error) == (2, f"error: {refused.value}\n")
    assert "a.png is of a kind that this program does not read" in run(colour, tmp_path / "a.png")[2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "name an image or an array"),
        (["x.npy", "--wide"], "there is no option --wide"),
        (["x.npy", "--top"], "--top wants a value"),
        (["x.npy", "--top", "0"], "--top `0`: give a whole number from 1 on"),
        (["x.npy", "--bench", "1e3"], "--bench `1e3`: give a whole number"),
        (["x.npy", "--bench", "99999999999999999999"], "give a whole number"),
        (["x.npy", "--cores", "0,a"], "--cores `a`: give a whole number"),
        (["x.npy", "--cores", "4000000000000"], "is not among those this process may use"),
        (["x.npy", "--cores", "0,0"], "core 0 is named twice"),
        (["x.npy", "--threads", "3"], "the bundle was built for 2 threads, and 3 are asked for"),
        (["x.npy", "--threads", "-1"], "-1 threads are asked for; give at least 1"),
        (["x.npy", "--cores", "0", "--threads", "2"], "2 threads on 1 of the cores"),
        (["x.npy", "--bundle", "/nowhere"], "/nowhere is no bundle"),
        (["x.npy", "--out", "y.txt"], "give it a name that ends in .npy"),
        (["x.npy", "--out", "no/y.npy"], "its folder does not exist"),
        (["x.npy", "--out", "x.npy"], "is an input; choose another name"),
        (["x.npy", "--out", "there.npy"], "replace it with --force"),
        (["x.npy", "--out", "text.npy", "--force"], "is there already and is no .npy array"),
    ],
)
def test_wrong_options_are_a_message(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("x.npy", "there.npy"):
        np.save(name, np.zeros((2, 8, 8), np.float32))
    Path("text.npy").write_text("notes")
    code, out, error = run(made, *options)
    assert (code, out) == (2, "")
    assert message in error
    assert Path("text.npy").read_text() == "notes"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["text.npy", "there.npy", "x.npy"]


def changed(content: bytes) -> bytes:
    return content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]


def test_changed_code_and_other_bundles_are_refused(
    made: Path, tmp_path: Path, libraries: list[Path]
) -> None:
    bundle = Path(shutil.copytree(made, tmp_path / "b"))
    shutil.copy(made.with_name("runner"), bundle / "runner")
    np.save(tmp_path / "x.npy", np.zeros((2, 8, 8), np.float32))

    def refused(message: str) -> None:
        code, out, error = start(bundle / "runner", tmp_path / "x.npy")
        assert (code, out, message in error) == (2, "", True), error

    for name in ("model.so", "lib/libtvm_ffi.so", "lib/libtvm_runtime.so"):
        path = bundle / name
        whole = path.read_bytes()
        for other in (changed(whole), whole[:-1], b"", whole + b"\0", libraries[0].read_bytes()):
            path.write_bytes(other)
            refused("was changed, or is of another bundle than this program")
        path.unlink()
        refused("missing" if name != "model.so" else "lies in no bundle")
        path.symlink_to(made / name)
        refused("is missing or no plain file of the bundle")
        path.unlink()
        path.write_bytes(whole)
    (bundle / "lib").rename(tmp_path / "lib")
    (bundle / "lib").symlink_to(tmp_path / "lib")
    refused("is missing or no plain file of the bundle")
    (bundle / "lib").unlink()
    (tmp_path / "lib").rename(bundle / "lib")
    assert start(bundle / "runner", tmp_path / "x.npy")[0] == 0


def test_another_machine_or_model_is_told(libraries: list[Path], tmp_path: Path) -> None:
    """The features and the output's shape of a manifest that says what is not so; not built for speed."""
    target = dataclasses.replace(tiny_model.manifest().target, features=("avx1024f",))
    bundle = tiny_copies.bundle(tmp_path / "b", libraries[0], COLOUR, target=target)
    source = bundle / "cpp" / "runner.cpp"
    build(bundle, "-O0")
    np.save(tmp_path / "x.npy", np.zeros(COLOUR[1:], np.float32))
    assert "this processor lacks avx1024f" in run(bundle, tmp_path / "x.npy")[2]
    text = source.read_text().replace('"avx1024f"sv', "")
    source.write_text(text.replace("OUTPUT_SHAPE = {1, 3, 5, 4}", "OUTPUT_SHAPE = {1, 60}"))
    build(bundle, "-O0")
    code, _, error = run(bundle, tmp_path / "x.npy")
    assert (code, "the model gives [1, 3, 5, 4], and not float32 [1, 60]" in error) == (2, True)


@pytest.mark.skipif(shutil.which("aarch64-linux-gnu-g++") is None, reason="there is no compiler for aarch64")
def test_it_compiles_for_aarch64(made: Path) -> None:
    command = [
        "aarch64-linux-gnu-g++",
        "-std=c++17",
        "-fsyntax-only",
        *STRICT,
        str(made / "cpp" / "runner.cpp"),
    ]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stderr == ""
