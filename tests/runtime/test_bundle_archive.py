"""Packed bundles: the same bytes for the same bundle, the same bundle from them, and nothing from a hostile one."""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from runtime.bundle import verify
from runtime.bundle_archive import inspect, pack, unpack
from runtime.cli.bundles import app
from runtime.files import FileProblem
from tests.runtime.hostile_archives import HOSTILE, WHOLE
from tests.runtime.light_bundle import contents, light_bundle, tree


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)])


def test_the_same_bundle_gives_the_same_bytes(tmp_path: Path) -> None:
    one, other = light_bundle(tmp_path / "one"), light_bundle(tmp_path / "deep" / "other")
    for path in other.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o700)
    first, second = pack(one), pack(other, tmp_path / "b.onepath")
    assert first == tmp_path / "one.tar.gz"
    assert first.read_bytes() == second.read_bytes()


def test_what_is_unpacked_is_what_was_packed(tmp_path: Path) -> None:
    folder = light_bundle(tmp_path / "one")
    found = unpack(pack(folder), tmp_path / "two")
    assert tree(tmp_path / "two") == tree(folder)
    assert found.digest == verify(folder).digest == inspect(tmp_path / "one.tar.gz").digest
    assert (tmp_path / "two").stat().st_mode == folder.stat().st_mode
    assert pack(tmp_path / "two").read_bytes() == (tmp_path / "one.tar.gz").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "one.tar.gz", "two", "two.tar.gz"]


def test_other_programs_open_it(tmp_path: Path) -> None:
    folder = light_bundle(tmp_path / "one")
    with tarfile.open(pack(folder)) as file:
        file.extractall(tmp_path / "theirs", filter="data")
    assert tree(tmp_path / "theirs" / "bundle") == tree(folder)
    assert verify(tmp_path / "theirs" / "bundle")


def test_files_are_written_over_only_when_asked(tmp_path: Path) -> None:
    folder = light_bundle(tmp_path / "one")
    packed = pack(folder)
    for again in (lambda: pack(folder), lambda: unpack(packed)):
        with pytest.raises(FileProblem, match="is there already"):
            again()
    assert pack(folder, force=True) == packed
    (tmp_path / "mine.tar.gz").write_text("mine")
    with pytest.raises(FileProblem, match="is not a packed bundle"):
        pack(folder, tmp_path / "mine.tar.gz", force=True)
    other = light_bundle(tmp_path / "other", network="other")
    assert unpack(packed, other, force=True).manifest.network == "light"
    for place, message in (("", "is there already and is no bundle"), ("one/in", "is inside of the bundle")):
        with pytest.raises(FileProblem, match=message):
            unpack(packed, tmp_path / place, force=True)
    with pytest.raises(FileProblem, match="is inside of the bundle"):
        pack(folder, folder / "x.tar.gz")
    with pytest.raises(FileProblem, match="let its name end in"):
        pack(folder, tmp_path / "x.zip")


def test_a_folder_with_a_stranger_is_not_packed(tmp_path: Path) -> None:
    folder = light_bundle(tmp_path / "one")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "runner.cpython-311.pyc").touch()
    assert verify(folder)
    for name in ("numpy.py", "lib/libc.so.6", "lib/__pycache__", "manifest.json.sig/x"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
        with pytest.raises(FileProblem, match="which its manifest does not list"):
            pack(folder)
        (folder / name).unlink()
    shutil.rmtree(folder / "manifest.json.sig")
    assert pack(folder)


def test_the_usual_archive_is_no_hostile_one(tmp_path: Path) -> None:
    (tmp_path / "a.onepath").write_bytes(WHOLE)
    assert unpack(tmp_path / "a.onepath").manifest.network == "light"
    assert len(HOSTILE) >= 30


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archives_leave_nothing(name: str, tmp_path: Path) -> None:
    make, message = HOSTILE[name]
    place = tmp_path / "place"
    place.mkdir()
    (place / "a.tar.gz").write_bytes(make())
    before = tree(tmp_path)
    with pytest.raises(FileProblem, match=message):
        unpack(place / "a.tar.gz")
    with pytest.raises(FileProblem, match=message):
        inspect(place / "a.tar.gz")
    for command in ("unpack", "verify", "inspect"):
        said = call(command, place / "a.tar.gz")
        assert (said.exit_code, said.stdout) == (2, "")
        assert said.stderr.startswith("onepath: ")
        assert "defect" not in said.stderr
        assert said.stderr.strip().isprintable()
    assert tree(tmp_path) == before


def test_a_full_disk_leaves_the_old_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = pack(light_bundle(tmp_path / "one", network="new"))
    light_bundle(tmp_path / "old")
    before = tree(tmp_path)

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("runtime.files.os.write", full)
    with pytest.raises(FileProblem, match="No space left"):
        unpack(packed, tmp_path / "old", force=True)
    monkeypatch.undo()
    assert tree(tmp_path) == before


@pytest.mark.parametrize("name", ["none.tar.gz", "a-folder", "fifo"])
def test_what_is_no_file_is_said(name: str, tmp_path: Path) -> None:
    (tmp_path / "a-folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(FileProblem, match=r"does not exist|is no file|does not end in"):
        unpack(tmp_path / name, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_commands(tmp_path: Path) -> None:
    folder = light_bundle(tmp_path / "one")
    assert call("pack", folder, "--out", tmp_path / "p.tar.gz").exit_code == 0
    said = call("unpack", tmp_path / "p.tar.gz", "--out", tmp_path / "two")
    assert said.exit_code == 0, said.output
    assert "no: it is run with --trust alone" in said.stdout
    assert f"{len(contents())} files" not in said.stdout
    said = call("run", tmp_path / "p.tar.gz", "x.npy")
    assert (said.exit_code, "`onepath bundle unpack` makes one" in said.stderr) == (2, True)
