"""The command line with what nobody should give it: broken files, hostile architectures, readers that go away."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from compiler.architecture import SCHEMA, InvalidArchitecture
from runtime.architecture_file import read_architecture
from runtime.cli import app

QUICKSTART = str(Path(__file__).resolve().parents[2] / "examples" / "quickstart.space")
SPACE = "space {} {{ input [3, 8, 8]  output [3]  global_pool }}\n"


def call(*arguments: str | Path, text: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments], input=text)


def architecture(choices: str, space: str = "quickstart") -> str:
    return f'{{"schema": "{SCHEMA}", "space": "{space}", "choices": {choices}}}'


def test_errors_of_a_used_file_longer_than_the_main_one(tmp_path: Path) -> None:
    (tmp_path / "used.space").write_text("\n" * 20 + "block b { relu -> }")
    main = tmp_path / "main.space"
    main.write_text('use "used.space"\n' + SPACE.format("a"))
    result = call("check", main, "--format", "json")
    assert result.exit_code == 1
    assert {(each["file"], each["line"]) for each in json.loads(result.stdout)} == {
        (str(tmp_path / "used.space"), 21)
    }


@pytest.mark.parametrize(("data", "code"), [(b"\xff", "E0001"), (b" " * (256 * 1024 + 1), "E0002")])
def test_files_that_are_no_text_are_findings(data: bytes, code: str, tmp_path: Path) -> None:
    path = tmp_path / "a.space"
    path.write_bytes(data)
    result = call("check", path, "--format", "json")
    assert (result.exit_code, [each["code"] for each in json.loads(result.stdout)]) == (1, [code])
    result = call("check", path, "--format", "concise")
    assert result.exit_code == 1
    assert result.stdout.startswith(f"{path}:1:1: error[{code}]")


def test_fmt_keeps_the_mode_and_the_link(tmp_path: Path) -> None:
    path, link = tmp_path / "a.space", tmp_path / "link.space"
    path.write_text("space s{input [3,8,8]\noutput [3]\nglobal_pool}\n")
    path.chmod(0o640)
    link.symlink_to(path)
    before = os.umask(0o077)
    try:
        assert call("fmt", link).exit_code == 0
    finally:
        os.umask(before)
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    assert path.read_text().startswith("space s {")


def test_fmt_goes_on_after_a_bad_file(tmp_path: Path) -> None:
    bad, good = tmp_path / "bad.space", tmp_path / "good.space"
    bad.write_text("space {")
    good.write_text("space s{input [3,8,8]\noutput [3]\nglobal_pool}\n")
    assert call("fmt", "--check", good).exit_code == 1
    result = call("fmt", tmp_path / "none.space", bad, good)
    assert result.exit_code == 2
    assert "none.space: No such file" in result.output
    assert "bad.space:1:7: error[E0012]" in result.output
    assert good.read_text().startswith("space s {")


HOSTILE = {
    "nested": ("[" * 100_000, "nested too deep"),
    "many digits": (architecture(f'{{"a": {"9" * 5000}}}'), "too many digits"),
    "twice": (architecture('{"a": 1, "a": 2}'), "`a` stands twice"),
    "no JSON": ("{", "is not JSON"),
    "a fraction": (architecture('{"a": 4.0}'), "`a`: 4.0 is no choice"),
    "a list": (architecture('{"a": [[]]}'), "`a`: such a list is no choice"),
    "steers a terminal": (architecture('{"a\\u001b[2J": 1.5}'), r"`a\u001b[2J`"),
    "too large": (" " * (1 << 20) + "{}", "at most 1 MiB"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_architectures_get_a_message(name: str, tmp_path: Path) -> None:
    text, message = HOSTILE[name]
    path = tmp_path / "a.json"
    path.write_text(text)
    result = call("cost", QUICKSTART, "--arch", path)
    assert (result.exit_code, message in result.output) == (2, True), result.output
    assert "defect" not in result.output


def test_an_endless_architecture_is_not_read_to_its_end() -> None:
    with pytest.raises(InvalidArchitecture, match="at most 1 MiB"):
        read_architecture(Path("/dev/zero"))


def test_a_byte_order_mark_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"\xef\xbb\xbf" + call("sample", QUICKSTART).stdout.encode())
    assert call("cost", QUICKSTART, "--arch", path).exit_code == 0


def test_few_of_many_mistakes_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    choices = {f"nobody{index}": index for index in range(30_000)}
    path.write_text(json.dumps({"schema": SCHEMA, "space": "quickstart", "choices": choices}))
    lines = call("cost", QUICKSTART, "--arch", path).output.splitlines()
    assert len(lines) == 21
    assert lines[-1].startswith("and 29,9")


def test_a_target_that_is_not_declared(tmp_path: Path) -> None:
    path = tmp_path / "a.space"
    path.write_text("target pixel {}\n" + SPACE.format("a"))
    result = call("cost", path, "--target", "nope")
    assert result.exit_code == 2
    assert (
        "no target is named `nope`; the file has `host` and `pixel`, and `onepath targets`" in result.output
    )


def test_which_space_is_meant() -> None:
    two = SPACE.format("a") + SPACE.format("b")
    assert "--space NAME`: `a` or `b`" in call("count", "-", text=two).output
    assert "no space is named `c`" in call("count", "-", "--space", "c", text=two).output
    assert "the file has no space" in call("count", "-", text="").output


@pytest.mark.parametrize("arguments", [["sample", "-n", "3000"], ["show"], ["check", "--format", "json"]])
def test_a_reader_that_goes_away_is_no_failure(arguments: list[str]) -> None:
    """The pipe is closed before anything is written to it."""
    reading, writing = os.pipe()
    os.close(reading)
    words = [sys.executable, "-m", "runtime", arguments[0], QUICKSTART, *arguments[1:]]
    done = subprocess.run(words, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")
