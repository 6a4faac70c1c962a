"""docs/bundles.md: its commands run in their order, and its numbers and fields are those of the code."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runtime.bundle import Manifest
from runtime.bundle_archive.layout import FREE_BYTES, RATIO
from runtime.bundle_archive.pack import SUFFIXES
from runtime.bundle_keys import NAMESPACE, keys_path
from runtime.bundle_runner import manifest as checks
from runtime.bundle_trust import list_path
from runtime.cli import app
from tests.runtime.light_bundle import light_bundle

PAGE = (Path(__file__).resolve().parents[2] / "docs/bundles.md").read_text(encoding="utf-8")
COMMANDS, SIGNING, BY_HAND = re.findall(r"```\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    light_bundle(tmp_path / "runs" / "quickstart" / "bundle")
    return tmp_path


def run(block: str) -> None:
    for line in block.splitlines():
        said = CliRunner().invoke(app, shlex.split(line)[1:])
        assert said.exit_code == 0, f"{line}: {said.output}"


def test_its_commands_run(place: Path) -> None:
    run(COMMANDS)
    assert (place / "ran").exists()


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")
def test_its_commands_about_keys_run(place: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "ana_ed25519"], check=True)
    *first, last = SIGNING.splitlines()
    run("\n".join(first))
    by_hand = BY_HAND.replace("allowed_signers", str(keys_path()))
    folder = place / "runs" / "quickstart" / "bundle"
    subprocess.run(["sh", "-e", "-c", by_hand], check=True, cwd=folder, capture_output=True)
    run(last)


def test_it_names_every_field_of_the_manifest() -> None:
    table = PAGE.partition("## The manifest")[2].partition("### ")[0]
    assert {field.name for field in fields(Manifest)} <= set(re.findall(r"`(\w+)`", table))
    assert checks.SCHEMA in PAGE
    assert all(f"`{name}`" in PAGE for name in (checks.MANIFEST, *checks.UNLISTED, *SUFFIXES))


def test_its_numbers_are_those_of_the_code() -> None:
    for row in (
        f"| {checks.MANIFEST_CAP_BYTES >> 20} MiB | a manifest |",
        f"| {checks.UNLISTED_CAP_BYTES >> 10} KiB | a signature, a measurement |",
        f"| {checks.FILES_CAP} files, {checks.TOTAL_CAP_BYTES >> 30} GiB |",
        f"| {FREE_BYTES >> 20} MiB and {RATIO} times its size |",
        f"more than {checks.NAME_CAP} characters",
        f"`{NAMESPACE}`",
        f"`{list_path().name}`",
        f"`{keys_path().name}`",
    ):
        assert row in PAGE
