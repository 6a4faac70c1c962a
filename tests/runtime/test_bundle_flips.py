"""500 random changes of bundles, in folders and in packed files: each is refused with a message, and nothing runs."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from runtime.bundle_archive import pack
from runtime.cli.bundles import app
from tests.runtime.light_bundle import light_bundle, tree

FLIPS = 250


def refused(*arguments: object) -> None:
    said = CliRunner().invoke(app, [*map(str, arguments)])
    assert (said.exit_code, said.stdout) == (2, ""), said.output
    assert said.stderr.startswith("onepath: ")
    assert "defect" not in said.stderr


def changed(data: bytes, random: np.random.Generator) -> bytes:
    """The data with one bit flipped, or one byte replaced by another."""
    at = int(random.integers(len(data)))
    mask = 1 << int(random.integers(8)) if random.random() < 0.5 else int(random.integers(1, 256))
    return data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]


def same_content(one: bytes, other: bytes) -> bool:
    """Whether two gzip files differ in the bits alone that fill the last byte of the compressed data."""
    try:
        return one[:10] == other[:10] and gzip.decompress(one) == gzip.decompress(other)
    except (OSError, EOFError, zlib.error):
        return False


def test_the_bundle_runs_unless_it_is_changed(tmp_path: Path) -> None:
    folder = light_bundle(tmp_path / "bundle")
    said = CliRunner().invoke(app, ["run", str(folder), "x.npy", "--trust"])
    assert (said.exit_code, said.stdout) == (0, "ran\n"), said.output
    assert (tmp_path / "ran").exists(), "without this the tests below would show nothing"


@pytest.mark.parametrize("seed", range(5))
def test_changed_files_are_refused_before_anything_runs(seed: int, tmp_path: Path) -> None:
    folder, random = light_bundle(tmp_path / "bundle"), np.random.default_rng(seed)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    before = tree(tmp_path)
    for _ in range(FLIPS // 5):
        path = files[random.integers(len(files))]
        whole = path.read_bytes()
        path.write_bytes(changed(whole, random))
        refused("run", folder, "x.npy", "--trust")
        path.write_bytes(whole)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("seed", range(5))
def test_changed_archives_are_refused(seed: int, tmp_path: Path) -> None:
    random, packed = np.random.default_rng(seed), pack(light_bundle(tmp_path / "bundle"))
    whole, done = packed.read_bytes(), 0
    while done < FLIPS // 5:
        flipped = changed(whole, random)
        if same_content(whole, flipped):
            continue
        packed.write_bytes(flipped)
        before = tree(tmp_path)
        refused("unpack", packed, "--out", tmp_path / "out")
        assert tree(tmp_path) == before
        done += 1
