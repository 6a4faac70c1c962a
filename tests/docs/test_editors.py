"""docs/editors.md: its snippets parse, its commands run, and what it says of a hover is what the server says."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dsl.format import format_source
from dsl.source import Source
from runtime.cli import app
from runtime.lsp.documents import Documents
from runtime.lsp.hover import hover
from runtime.lsp.server import make_server

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "editors.md").read_text(encoding="utf-8")
COMMAND = ["onepath", "lsp"]


def snippets(language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return [text for name, text in found if name == language]


def test_the_hover_is_the_servers() -> None:
    (text,) = snippets("space")
    assert format_source(Source("page", text)) == text
    documents = Documents()
    path = documents.put("file:///page.space", 1, text)
    assert documents.analysis(path).diagnostics == []
    found = hover(documents, path, text.index("conv"))
    assert found is not None
    said = [line.strip("` ") for line in found.text.splitlines()[-2:]]
    assert "\n".join(said) + "\n" in snippets("")


@pytest.mark.parametrize(
    "feature",
    [
        *("hover", "completion", "signatureHelp", "definition", "references", "documentHighlight"),
        *("rename", "formatting", "documentSymbol", "foldingRange"),
    ],
)
def test_every_feature_of_the_table_is_served(feature: str) -> None:
    assert f"textDocument/{feature}" in make_server().protocol.fm.features


def test_helix_and_vs_code_start_the_command() -> None:
    (helix,) = snippets("toml")
    languages = tomllib.loads(helix)
    server = languages["language-server"]["onepath"]
    assert [server["command"], *server["args"]] == COMMAND
    assert languages["language"][0]["language-servers"] == ["onepath"]
    assert languages["language"][0]["file-types"] == ["space"]
    (settings,) = snippets("json")
    properties = json.loads((ROOT / "grammar/vscode/package.json").read_text())["contributes"][
        "configuration"
    ]
    assert properties["properties"]["onepath.command"]["default"] == COMMAND
    ((key, value),) = json.loads(settings).items()
    assert key in properties["properties"]
    assert value[1:] == COMMAND[1:]


def test_neovim_and_emacs_start_the_command() -> None:
    (neovim,), (emacs,) = snippets("lua"), snippets("elisp")
    assert '{ "onepath", "lsp" }' in neovim
    assert '("onepath" "lsp")' in emacs
    assert emacs.count("(") == emacs.count(")")
    assert neovim.count("{") == neovim.count("}")
    assert neovim.count("(") == neovim.count(")")


def test_the_commands_of_the_page_exist() -> None:
    assert "--tcp" in CliRunner().invoke(app, ["lsp", "--help"]).output
    (line,) = [each for each in PAGE.splitlines() if each.startswith("pygmentize")]
    arguments = [sys.executable, "-m", "pygments", *shlex.split(line)[1:]]
    coloured = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    plain = re.sub(r"\x1b\[[\d;]*m", "", coloured)
    assert plain == (ROOT / "examples/quickstart.space").read_text(encoding="utf-8")
    assert plain != coloured


def test_the_extensions_package_is_named_as_on_the_page() -> None:
    manifest = json.loads((ROOT / "grammar/vscode/package.json").read_text())
    assert f"{manifest['name']}-{manifest['version']}.vsix" in PAGE
