"""`onepath check`, `fmt` and `explain` as a user meets them: files, folders, pipes, forms, exit codes."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from dsl.codes import CODES
from runtime.cli import app

SOUND = "space s {\n    input [3, 8, 8]\n    output [3, 8, 8]\n    relu\n}\n"
LOOSE = SOUND.replace("    relu", "  relu   # kept")
WRONG = SOUND.replace("relu", "rel")


def call(*arguments: str | Path, text: str | bytes | None = None) -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments], input=text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a sound file, a wrong one, one to format, and what is not to be looked into."""
    for name, text in {"a": SOUND, "b": WRONG, "deep/er/c": LOOSE, ".hidden/d": "{", "e.txt": "{"}.items():
        path = tmp_path / (name if name.endswith(".txt") else f"{name}.space")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


# check


def test_check_takes_several_files(folder: Path) -> None:
    result = call("check", folder / "a.space", folder / "b.space", "--format", "concise")
    assert result.exit_code == 1
    assert result.stdout == f"{folder}/b.space:4:5: error[E0101]: nothing is named `rel` here\n"


def test_check_says_how_many_files_are_sound(folder: Path) -> None:
    assert call("check", folder / "a.space").stdout == f"{folder}/a.space: no errors\n"
    assert call("check", folder / "a.space", folder / "deep").stdout == "2 files: no errors\n"


@pytest.mark.tvm
def test_check_asks_llvm_about_targets(tmp_path: Path) -> None:
    path = tmp_path / "boards.space"
    path.write_text(
        f"""{SOUND}
target a {{ triple = "aarch64-unknown-linux-gnu"  cpu = "cortex-a67" }}
target b {{ triple = "aarhc64-unknown-linux-gnu"  cpu = "cortex-a76" }}
target c {{ like = "raspberry_pi_5"  features = "+dotprodd" }}
target d {{ like = "raspberry_pi_5"  features = "+dotprod"  threads = 64 }}
target e {{ threads = 1000 }}
target f {{ triple = "aarch64-unknown-linux-gnu"  latency_table = "t.json" }}
target g {{ triple = "aarch64-unknown-linux-gnu" }}
"""
    )
    result = call("check", path, "--format", "json")
    found = [(each["line"], each["column"], each["code"], each["hint"]) for each in json.loads(result.stdout)]
    assert found == [
        (7, 56, "E0407", "did you mean cortex-a78, cortex-a77, cortex-a76?"),
        (8, 21, "E0407", "did you mean `aarch64`?"),
        (9, 48, "E0407", "did you mean `dotprod`?"),
        (13, 21, "E0407", None),
    ]


def test_check_walks_folders(folder: Path) -> None:
    result = call("check", folder, "--format", "json")
    assert [Path(each["file"]).name for each in json.loads(result.stdout)] == ["b.space"]


def test_check_goes_on_after_a_file_that_is_not_there(folder: Path) -> None:
    result = call("check", folder / "none.space", folder / "b.space")
    assert result.exit_code == 2
    assert "none.space: No such file" in result.output
    assert "nothing is named `rel`" in result.output
    assert "no errors" not in result.output


def test_a_mistake_in_a_file_that_two_use_is_told_once(folder: Path) -> None:
    (folder / "used.space").write_text("block b { rel }")
    for name in ("x", "y"):
        (folder / f"{name}.space").write_text('use "used.space"\n')
    result = call("check", folder / "x.space", folder / "y.space", "--format", "concise")
    assert result.stdout.count("used.space:1:11: error[E0101]") == 1


@pytest.mark.parametrize("command", ["check", "fmt"])
def test_a_folder_without_a_space_is_told(command: str, tmp_path: Path) -> None:
    result = call(command, tmp_path)
    assert result.exit_code == 2
    assert result.output == f"onepath: {tmp_path} has no .space file in it\n"


def test_check_colours_what_it_is_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.delenv("CLICOLOR_FORCE", raising=False)
    assert "\033[" not in call("check", "-", text=WRONG).stdout
    assert "\033[31m" in call("check", "-", "--color", "always", text=WRONG).stdout
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\033[31m" in call("check", "-", text=WRONG).stdout
    assert "\033[" not in call("check", "-", "--color", "never", text=WRONG).stdout


@pytest.mark.parametrize(("form", "start"), [("sarif", "{"), ("github", "::error file=<stdin>,line=4,")])
def test_check_speaks_to_code_hosts(form: str, start: str) -> None:
    result = call("check", "-", "--format", form, text=WRONG)
    assert (result.exit_code, result.stdout.startswith(start)) == (1, True)
    assert call("check", "-", "--format", form, text=SOUND).exit_code == 0


# fmt


def test_fmt_checks_every_file(folder: Path) -> None:
    (folder / "a.space").write_text(LOOSE)
    result = call("fmt", "--check", folder)
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        f"would change {folder}/{name}.space" for name in ("a", "deep/er/c")
    ]
    assert (folder / "a.space").read_text() == LOOSE


def test_fmt_walks_folders(folder: Path) -> None:
    assert call("fmt", folder).exit_code == 0
    assert (folder / "deep/er/c.space").read_text() == SOUND.replace("relu", "relu  # kept")
    assert (folder / ".hidden/d.space").read_text() == "{"


def test_fmt_reads_standard_input() -> None:
    assert call("fmt", "-", text=LOOSE).stdout == SOUND.replace("relu", "relu  # kept")
    result = call("fmt", "-", "--check", text=LOOSE)
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "would change <stdin>\n")
    assert call("fmt", "-", "--check", text=SOUND).exit_code == 0
    wrong = call("fmt", "-", text="space {")
    assert (wrong.exit_code, wrong.stdout) == (2, "")


UNTIDY = {
    "no end": "x = 1   # é",
    "windows": "x = 1\r\n\r\ny  =  2\r\n",
    "mark": "\ufeffx = 1\n",
    "separators": "x = 1  # a\u2028b\x0cc\x85d\ny  = 2\n",
    "empty lines": "\n\n\n# only\n\n\n",
    "nothing but spaces": "   \n",
}


@pytest.mark.skipif(shutil.which("patch") is None, reason="patch is not installed")
@pytest.mark.parametrize("name", UNTIDY)
@pytest.mark.parametrize("file", ["a.space", "with space.space"])
def test_patch_applies_what_diff_prints(
    name: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(file).write_bytes(UNTIDY[name].encode())
    difference = call("fmt", "--diff", file).stdout_bytes
    assert Path(file).read_bytes() == UNTIDY[name].encode()
    assert difference
    subprocess.run(["patch", "-p0", "--binary"], input=difference, check=True, capture_output=True)
    patched = Path(file).read_bytes() if Path(file).exists() else b""
    Path(file).write_bytes(UNTIDY[name].encode())
    assert call("fmt", file).exit_code == 0
    assert Path(file).read_bytes() == patched
    assert call("fmt", "--check", "--diff", file).exit_code == 0


# explain


def test_explain_takes_several_codes_in_any_case() -> None:
    result = call("explain", "e0101", "W0101")
    assert result.exit_code == 0
    assert "E0101: nothing has this name here" in result.stdout
    assert "error[E0101]: nothing is named `cnov` here" in result.stdout
    assert "W0101: a parameter is not read" in result.stdout


def test_explain_lists_every_code() -> None:
    lines = call("explain").stdout.splitlines()
    assert [line.split("  ", 1) for line in lines] == [[row.code, row.title] for row in CODES.values()]


def test_explain_says_which_code_was_meant() -> None:
    result = call("explain", "E010")
    assert (result.exit_code, "did you mean `E0" in result.output) == (2, True)
