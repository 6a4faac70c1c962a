"""docs/targets.md and the pages on what is built: the targets shown are sound, and the commands have those options."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dsl.diagnostic import has_errors
from dsl.known_targets import known_targets, user_table
from dsl.parser import parse
from dsl.resolve import resolve_settings
from dsl.source import Source
from runtime.targets import resolve
from tests.docs.shown_commands import check_options

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = {
    name: (DOCS / f"{name}.md").read_text(encoding="utf-8")
    for name in ("targets", "deploy", "standalone", "cuda")
}
SPACES = [text for page in PAGES.values() for text in re.findall(r"```space\n(.*?)```", page, re.DOTALL)]
(TOML,) = re.findall(r"```toml\n(.*?)```", PAGES["targets"], re.DOTALL)
COMMANDS = sorted(
    {
        line.split(" && ")[0]
        for page in PAGES.values()
        for block in re.findall(r"```\n(.*?)```", page, re.DOTALL)
        for line in block.splitlines()
        if line.startswith("onepath ")
    }
)


@pytest.mark.tvm
@pytest.mark.parametrize("text", SPACES)
def test_the_targets_shown_can_be_built_for(text: str) -> None:
    file, found = parse(Source("page", text))
    assert file is not None
    assert not has_errors(found)
    settings, found = resolve_settings(file)
    assert not found
    for each in settings.targets.values():
        assert resolve(each).name == each.name


@pytest.mark.tvm
def test_the_users_file_shown_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    user_table().parent.mkdir(parents=True)
    user_table().write_text(TOML)
    assert resolve(known_targets()["board"].settings).cpu == "cortex-a53"


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_shown_exists_with_its_options(line: str) -> None:
    check_options(line)
