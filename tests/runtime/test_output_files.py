"""Files that a person names to be written: nothing else is written over, and no folder is made."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.files import SVG, FileProblem, checked_output, json_document, json_kind

THING = json_kind("a thing", "onepath.thing/2")


def thing(path: Path, version: int = 2) -> Path:
    """A file of the kind."""
    path.write_text(json_document({"x": 1}, f"onepath.thing/{version}"))
    return path


def test_a_new_name_is_taken_and_nothing_is_made(tmp_path: Path) -> None:
    assert checked_output(tmp_path / "new.json", THING) == tmp_path / "new.json"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("version", [1, 2])
def test_a_file_of_the_kind_is_replaced_by_force_alone(tmp_path: Path, version: int) -> None:
    path = thing(tmp_path / "a.json", version)
    with pytest.raises(FileProblem, match=r"is there already; .* replace it with --force"):
        checked_output(path, THING)
    assert checked_output(path, THING, force=True) == path


@pytest.mark.parametrize("content", [b"", b"\0" * 5000, b'{"schema": "onepath.things/2"}', b'{"x": 1}'])
def test_another_file_is_never_replaced(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(FileProblem, match="is there already and is not a thing"):
        checked_output(path, THING, force=True)


def test_what_is_read_is_not_written_under_any_name(tmp_path: Path) -> None:
    path, link = thing(tmp_path / "a.json"), tmp_path / "link.json"
    link.symlink_to(path)
    for name, given in ((link, path), (path, link), (tmp_path / "x", tmp_path / "." / "x")):
        with pytest.raises(FileProblem, match="belongs to what this command reads"):
            checked_output(name, THING, inputs=[given], force=True)


def test_what_a_link_leads_to_is_written(tmp_path: Path) -> None:
    link, lost, loop = (tmp_path / name for name in ("link.json", "lost.json", "loop.json"))
    link.symlink_to(thing(tmp_path / "a.json"))
    lost.symlink_to(tmp_path / "b.json")
    loop.symlink_to(loop)
    assert checked_output(link, THING, force=True) == tmp_path / "a.json"
    assert checked_output(lost, THING) == tmp_path / "b.json"
    with pytest.raises(FileProblem, match="cannot be written"):
        checked_output(loop, THING)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "is a folder"),
        ("-", "is not the name of a file"),
        ("missing/a.json", "its folder does not exist"),
        ("file/a.json", "cannot be written"),
        ("x" * 300, "cannot be written"),
        ("/dev/full", "is no regular file"),
    ],
)
def test_a_place_that_is_none_is_refused(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileProblem, match=reason):
        checked_output(Path(name) if name == "-" else tmp_path / name, THING, force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder_that_is_read_only_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(FileProblem, match="its folder is read-only"):
        checked_output(tmp_path / "a.json", THING)


def test_a_picture_ends_in_its_suffix(tmp_path: Path) -> None:
    assert checked_output(tmp_path / "a.SVG", SVG).name == "a.SVG"
    with pytest.raises(FileProblem, match=r"is to be an SVG picture; give it a name that ends in \.svg"):
        checked_output(tmp_path / "a.png", SVG)
    (tmp_path / "b.svg").write_text('<?xml version="1.0"?>\n<svg></svg>')
    assert checked_output(tmp_path / "b.svg", SVG, force=True).name == "b.svg"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_answer_that_cannot_be_printed_is_a_failure(unbuffered: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "runtime", "explain"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )
    assert done.returncode == 2
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
