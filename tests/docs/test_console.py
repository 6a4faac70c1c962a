"""The pages' console examples: each command is run on the page's own spaces and prints what the page says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runtime.cli import app

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("language.md",)


def written(page: str) -> dict[str, str]:
    """The texts of the page's spaces, by name; of two with one name the first."""
    found: dict[str, str] = {}
    for text in re.findall(r"```space\n(.*?)```", page, re.DOTALL):
        for name in re.findall(r"^space (\w+)", text, re.MULTILINE):
            found.setdefault(name, text)
    return found


def sessions(page: str) -> list[tuple[str, str]]:
    """Each command of the page's console blocks, with the lines that stand below it."""
    blocks = re.findall(r"```console\n(.*?)```", page, re.DOTALL)
    return [
        (c, out) for block in blocks for c, out in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.M)
    ]


@pytest.mark.parametrize("page", PAGES)
def test_commands_print_what_the_page_says(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for name, space in written(text).items():
        Path(f"{name}.space").write_text(space, encoding="utf-8")
    ran = sessions(text)
    assert ran
    for command, expected in ran:
        program, *arguments = shlex.split(command)
        assert program == "onepath"
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, f"{command}\n{result.output}"
        pattern = ".*".join(map(re.escape, expected.split("…")))
        assert re.fullmatch(pattern, result.stdout), f"{command}\n{result.stdout}"
