"""Open texts before files, and what is read at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runtime.lsp.completion import completions
from runtime.lsp.documents import Documents, path_of

SPACE = "space s { input [3, 8, 8]  output [8, 8, 8]  unit(8) }\n"


def test_uris_and_paths() -> None:
    assert path_of("file:///a%20b/c.space") == "/a b/c.space"
    assert path_of("file:///c%3A/d/e.space") == "c:/d/e.space"
    assert path_of("untitled:Untitled-1") == "untitled:Untitled-1"
    documents = Documents()
    documents.put("file:///a%20b/c.space", 1, "")
    assert documents.uri("/a b/c.space") == "file:///a%20b/c.space"
    assert documents.uri("/a b/d.space") == "file:///a%20b/d.space"


def test_an_open_text_stands_before_its_file(tmp_path: Path) -> None:
    (tmp_path / "b.space").write_text("block other { relu }")
    documents = Documents()
    main = documents.put((tmp_path / "a.space").as_uri(), 1, f'use "b.space"\n{SPACE}')
    assert "E0101" in {each.code for each in documents.analysis(main).diagnostics}
    used = documents.put((tmp_path / "b.space").as_uri(), 1, "block unit(out) { conv(out, 3) }")
    assert documents.analysis(main).diagnostics == []
    assert documents.dependents(used) == [main, used]
    documents.close((tmp_path / "b.space").as_uri())
    assert documents.analysis(main).diagnostics != []


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    """A pipe would never end, and the server's own input would be lost."""
    os.mkfifo(tmp_path / "pipe.space")
    documents = Documents()
    for name in ("pipe.space", "/dev/stdin", "/dev/zero", ".", "gone.space"):
        main = documents.put((tmp_path / "a.space").as_uri(), 1, f'use "{name}"\n')
        assert [each.code for each in documents.analysis(main).diagnostics] == ["E0151"]


def test_the_workspaces_files(tmp_path: Path) -> None:
    for name in ("a.space", "sub/b.space", ".hidden/c.space", "node_modules/d.space", "e.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    documents = Documents([str(tmp_path)])
    documents.put("untitled:new", 1, "")
    assert documents.known_files() == ["untitled:new", f"{tmp_path}/a.space", f"{tmp_path}/sub/b.space"]


@pytest.mark.parametrize(
    ("beginning", "found"),
    [("", ["b.space", "sub/"]), ("su", ["sub/"]), ("sub/", ["sub/c.space"]), ("no/", [])],
)
def test_files_that_a_use_may_name(tmp_path: Path, beginning: str, found: list[str]) -> None:
    for name in ("a.space", "b.space", "sub/c.space", "e.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    documents = Documents()
    text = f'use "{beginning}'
    path = documents.put((tmp_path / "a.space").as_uri(), 1, text)
    assert [each.label for each in completions(documents, path, len(text))] == found
