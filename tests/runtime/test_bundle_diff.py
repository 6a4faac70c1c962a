"""What a bundle is, as text and JSON, and what differs between two."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from runtime.benchmark import latency
from runtime.bundle import verify
from runtime.bundle_archive import pack
from runtime.bundle_measured import write_measured
from runtime.cli.bundles import app
from runtime.files import FileProblem
from runtime.provenance import git_revision
from tests.runtime.light_bundle import contents, light_bundle, payload


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)])


def test_equal_bundles_do_not_differ(tmp_path: Path) -> None:
    one = light_bundle(tmp_path / "one")
    packed = pack(one)
    write_measured(one, verify(one).digest, 1, latency([9.0]))
    said = call("diff", one, packed)
    assert (said.exit_code, said.stdout) == (0, "they are the same\n"), "a measurement is no difference"
    assert json.loads(call("diff", one, packed, "--format", "json").stdout) == {
        "equal": True,
        "differences": {},
    }


def test_fields_and_files_that_differ_are_named(tmp_path: Path) -> None:
    one = light_bundle(tmp_path / "one", provenance={"seeds": {"search": 1}, "data": "a\x1b[2J"})
    files = payload(contents())["files"]
    files["runner.py"] |= {"sha256": "0" * 64}
    del files["lib/LICENSE-apache-tvm"]
    other = light_bundle(tmp_path / "other", provenance={"seeds": {"search": 2, "train": 0}}, labels=["ant"])
    (other / "runner.py").write_text("print()\n")
    found = call("diff", one, other)
    assert (found.exit_code, "runner.py was damaged" in found.stderr) == (2, True), "first it is verified"
    light_bundle(tmp_path / "other", provenance={"seeds": {"search": 2, "train": 0}}, labels=["ant"])
    said = call("diff", one, other)
    assert said.exit_code == 1
    assert said.stdout.splitlines() == [
        "  labels: ant, bee, cat -> ant",
        "  provenance.seeds.search: 1 -> 2",
        "- provenance.data: a\\u001b[2J",
        "+ provenance.seeds.train: 0",
    ]
    said = call("diff", one, other, "--format", "json")
    assert said.exit_code == 1
    assert json.loads(said.stdout)["differences"]["provenance.seeds.train"] == {"b": 0}


def test_changed_files_are_told_by_their_hashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, files = light_bundle(tmp_path / "one"), contents()
    monkeypatch.setattr("tests.runtime.light_bundle.RUNNER", "print()\n")
    (line,) = call("diff", one, light_bundle(tmp_path / "other")).stdout.splitlines()
    assert line.startswith(f"  files.runner.py: {len(files['runner.py'])} bytes, SHA-256 ")
    assert " -> 8 bytes, SHA-256 " in line


def test_inspect_shows_all_that_people_ask_for(tmp_path: Path) -> None:
    manifest_check, predicted = {"images": 8, "max_relative_error": 1.5e-6}, {"latency_predicted_ms": 0.25}
    folder = light_bundle(tmp_path / "one")
    target = asdict(verify(folder).manifest.target) | {"features": [f"feature{index}" for index in range(30)]}
    folder = light_bundle(folder, numerical_check=manifest_check, target=target, benchmark=predicted)
    text = call("inspect", folder).stdout
    for shown in (
        "network        light",
        ", ".join(target["features"]),
        "latency_predicted_ms  0.25",
        "host: x86-64, x86_64-linux-gnu, 1 thread",
        "float32 1x2x8x8, NCHW",
        "float32 1x3, NC; logits",
        "ant, bee, cat",
        "mean   0.5, 0.5",
        "source_sha256  00",
        "onepath  0.1.0",
        "max_relative_error  1.5e-06",
        "latency_p50_ms  1.1",
        verify(folder).digest,
        "5 files, ",
        "lib/libtvm_runtime.so",
    ):
        assert shown in text
    assert call("inspect", pack(folder)).stdout == text
    manifest = payload(contents(), numerical_check=manifest_check, target=target, benchmark=predicted)
    said = call("inspect", folder, "--format", "json").stdout
    assert json.loads(said) == json.loads(json.dumps(manifest))


def test_hostile_texts_steer_no_terminal(tmp_path: Path) -> None:
    hostile = "\x1b[2J\u202e\n" * 50
    folder = light_bundle(
        tmp_path / "one", network=hostile, labels=[hostile] * 20, provenance={hostile: {hostile: [hostile]}}
    )
    text = call("inspect", folder).stdout
    assert all(line.isprintable() and len(line) < 300 for line in text.splitlines())


def test_a_measurement_is_of_one_bundle(tmp_path: Path) -> None:
    folder = light_bundle(tmp_path / "one")
    assert verify(folder).benchmark["latency_p99_ms"] == pytest.approx(1.2, abs=0.01)
    write_measured(folder, "0" * 64, 1, latency([1.0]))
    with pytest.raises(FileProblem, match="was measured of another bundle; delete it"):
        verify(folder)
    (folder / "benchmark.json").unlink()
    assert verify(folder).benchmark == {}


def test_the_revision_is_that_of_the_files_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, loose = tmp_path / "repository" / "a.space", tmp_path / "b.space"
    file.parent.mkdir()
    for path in (file, loose):
        path.write_text("space a {}\n")
    commands = (
        ["init", "-q"],
        ["add", "a.space"],
        ["-c", "user.name=a", "-c", "user.email=a@b.example", "commit", "-q", "-m", "a"],
    )
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    assert git_revision(file) == {}, "no checkout yet"
    for command in commands:
        subprocess.run(["git", "-C", str(file.parent), *command], check=True)
    head = subprocess.run(
        ["git", "-C", str(file.parent), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    )
    assert git_revision(file) == {"git_revision": head.stdout.strip(), "git_changed": False}
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert git_revision(file)["git_revision"] == head.stdout.strip()
    file.write_text("space a { }\n")
    assert git_revision(file)["git_changed"] is True
    (file.parent / "new.space").touch()
    assert (
        git_revision(file.parent / "new.space") == git_revision(loose) == git_revision(Path("<stdin>")) == {}
    )
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_revision(file) == {}
