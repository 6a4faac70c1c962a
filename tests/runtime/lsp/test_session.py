"""A session with a real `onepath lsp` process, as an editor has it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.lsp.client import Client, at, place

BLOCKS = """# A convolution with its norm.
# 😀 Twice as wide inside.
block unit(out, kernel = 3) {
    conv(out * 2, kernel) -> bn -> relu
    -> conv(out, 1)
}
target phone { threads = 1 }
"""
MAIN = """use "blocks.space" as lib
width = 8
block cell(out, stride = 1) {
    half = out // 2
    conv(half, 3, stride) -> lib.unit(out, kernel = choose(3, 5))
}
space s {
    input [3, 16, 16]
    output [10]
    cell(width) -> cell(2 * width, stride = 2) -> global_pool -> linear(10)
    require latency <= 8 ms on lib.phone
}
search s { data = digits  strategy = gradient(lr = 0.01)  latency <= 8 ms on lib.phone }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("workspace")
    (root / "blocks.space").write_text(BLOCKS, encoding="utf-8")
    (root / "main.space").write_text(MAIN, encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[Client]:
    client = Client()
    try:
        client.start(folder)
        yield client
        assert client.stop() == 0
    finally:
        client.close()


@pytest.fixture
def main(client: Client, folder: Path) -> Iterator[str]:
    """The URI of the main file, opened without findings, and closed again."""
    uri = (folder / "main.space").as_uri()
    assert client.open(uri, MAIN) == []
    yield uri
    client.notify("textDocument/didClose", {"textDocument": {"uri": uri}})


def text_of(client: Client, uri: str, mark: str, shift: int = 0, text: str = MAIN) -> str:
    """The Markdown of a hover; empty where there is none."""
    found = client.request("textDocument/hover", at(uri, text, mark, shift))
    return "" if found is None else str(found["contents"]["value"])


def labels(client: Client, uri: str, text: str, mark: str, shift: int = 0) -> list[str]:
    found = client.request("textDocument/completion", at(uri, text, mark, shift))
    return [each["label"] for each in sorted(found["items"], key=lambda each: each["sortText"])]


def spans(edits: list[dict[str, Any]], text: str) -> list[str]:
    """The texts of one-line ranges that the edits replace."""
    lines = text.split("\n")
    return [
        lines[each["range"]["start"]["line"]][
            each["range"]["start"]["character"] : each["range"]["end"]["character"]
        ]
        for each in edits
    ]


def test_what_the_server_says_it_can(folder: Path) -> None:
    client = Client()
    try:
        can = client.start(folder, ["utf-8", "utf-16"])
        assert can["positionEncoding"] == "utf-8"
        assert can["textDocumentSync"]["change"] == 1
        wanted = ("hover", "definition", "references", "documentSymbol", "documentFormatting", "rename")
        assert all(can[f"{each}Provider"] for each in (*wanted, "documentHighlight", "foldingRange"))
        # Columns in bytes: `é` is two of them.
        (found,) = client.open("file:///bytes.space", "# é\nblock a { é }")[:1]
        assert found["range"]["end"] == {"line": 1, "character": 12}
        assert client.stop() == 0
    finally:
        client.close()


def test_hover_over_an_operator_a_block_and_a_space(client: Client, main: str) -> None:
    conv = text_of(client, main, "conv(half")
    assert "conv(out, kernel, stride = 1" in conv
    assert "`[3, 16, 16] -> [4, 16, 16]`" in conv
    assert "`[8, 16, 16] -> [8, 8, 8]`" in conv
    assert "at 2 places of the expanded spaces; each 108 to 576 parameters, 27,648 to 36,864 MACs" in conv
    unit = text_of(client, main, "unit(out")
    assert "block unit(out, kernel = 3)" in unit
    assert "A convolution with its norm.\n😀 Twice as wide inside." in unit
    assert "`[4, 16, 16] -> [8, 16, 16]`" in unit
    space = text_of(client, main, "s {")
    assert "4 networks, 2 decisions" in space


def test_hover_over_names_decisions_settings_and_limits(client: Client, main: str) -> None:
    assert text_of(client, main, "half = ").endswith("`4`  \n`8`")
    assert text_of(client, main, "out // 2").endswith("`8`  \n`16`")
    assert "constant `width = 8`" in text_of(client, main, "width) ->")
    decision = text_of(client, main, "choose(3, 5)")
    assert "2 decisions of 2 options: 3, 5" in decision
    assert "`cell.kernel`, `cell2.kernel`" in decision
    assert "data set" in text_of(client, main, "data =")
    assert "learning rate of the architecture" in text_of(client, main, "lr =")
    assert "a limit, in ns" in text_of(client, main, "latency")
    assert text_of(client, main, "kernel = choose").startswith("parameter `kernel = 3`")
    assert text_of(client, main, "input") == ""


def test_completion(client: Client, main: str) -> None:
    found = labels(client, main, MAIN, "conv(half", 5)
    assert found[:3] == ["out", "kernel", "stride"]
    assert {"half", "width", "min", "lib.unit"} <= set(found)
    assert labels(client, main, MAIN, "lib.unit(out", 4) == ["unit"]
    assert labels(client, main, MAIN, "gradient(lr", 9)[:2] == ["update", "every"]
    assert "blocks.space" in labels(client, main, MAIN, "blocks.space", 1)
    assert labels(client, main, MAIN, "lib.phone\n", 4) == ["phone"]


def test_names_survive_a_text_that_is_being_typed(client: Client, main: str) -> None:
    typed = MAIN.replace("block cell(out, stride = 1) {", "block cell(out, {").replace(
        "    cell(width)", "    ce"
    )
    assert client.change(main, typed, 2) != []
    assert "cell" in labels(client, main, typed, "    ce ->", 6)
    assert client.change(main, MAIN, 3) == []


def test_definitions(client: Client, main: str, folder: Path) -> None:
    found = client.request("textDocument/definition", at(main, MAIN, "unit(out"))
    assert found["uri"] == (folder / "blocks.space").as_uri()
    assert found["range"]["start"] == {"line": 2, "character": 6}
    found = client.request("textDocument/definition", at(main, MAIN, "half, 3"))
    assert (found["uri"], found["range"]["start"]) == (main, {"line": 3, "character": 4})
    found = client.request("textDocument/definition", at(main, MAIN, "kernel = choose"))
    assert found["range"]["start"] == {"line": 2, "character": 16}
    found = client.request("textDocument/definition", at(main, MAIN, "blocks"))
    assert (found["uri"], found["range"]["start"]["line"]) == ((folder / "blocks.space").as_uri(), 0)
    assert client.request("textDocument/definition", at(main, MAIN, "global_pool")) is None


def test_references_and_highlights(client: Client, main: str, folder: Path) -> None:
    params = {**at(main, MAIN, "cell(width"), "context": {"includeDeclaration": True}}
    found = client.request("textDocument/references", params)
    assert spans(found, MAIN) == ["cell", "cell", "cell"]
    found = client.request("textDocument/documentHighlight", at(main, MAIN, "half, 3"))
    assert [each["kind"] for each in found] == [3, 2]
    library = (folder / "blocks.space").as_uri()
    client.open(library, BLOCKS)
    params = {**at(library, BLOCKS, "unit"), "context": {"includeDeclaration": False}}
    (only,) = client.request("textDocument/references", params)
    assert only["uri"] == main
    client.notify("textDocument/didClose", {"textDocument": {"uri": library}})


def test_renaming_over_two_files(client: Client, main: str, folder: Path) -> None:
    library = (folder / "blocks.space").as_uri()
    prepared = client.request("textDocument/prepareRename", at(main, MAIN, "kernel = choose"))
    assert prepared["placeholder"] == "kernel"
    params = {**at(main, MAIN, "kernel = choose"), "newName": "window"}
    changes = client.request("textDocument/rename", params)["changes"]
    assert spans(changes[main], MAIN) == ["kernel"]
    assert spans(changes[library], BLOCKS) == ["kernel", "kernel"]
    for new, reason in (("conv", "an operator"), ("repeat", "keyword"), ("half", "taken")):
        answer = client.answer("textDocument/rename", {**at(main, MAIN, "width ="), "newName": new})
        assert reason in answer["error"]["message"]
    refused = client.answer("textDocument/prepareRename", at(main, MAIN, "global_pool"))
    assert refused["error"]["code"] == -32803
    assert "built-in" in refused["error"]["message"]


def test_formatting_symbols_folding_and_signatures(client: Client, main: str) -> None:
    document = {"textDocument": {"uri": main}}
    options = {"options": {"tabSize": 4, "insertSpaces": True}}
    client.change(main, MAIN.replace("width = 8", "width=8"), 2)
    (edit,) = client.request("textDocument/formatting", {**document, **options})
    assert edit["newText"] == MAIN
    assert edit["range"]["start"] == {"line": 0, "character": 0}
    assert client.change(main, MAIN.replace("\n", "\r\n"), 3) == []
    assert client.request("textDocument/formatting", {**document, **options}) == []
    client.change(main, "block {", 4)
    assert client.request("textDocument/formatting", {**document, **options}) == []
    client.change(main, MAIN, 5)
    symbols = client.request("textDocument/documentSymbol", document)
    assert [(each["name"], each["detail"]) for each in symbols] == [
        ("lib", "use"),
        ("width", "constant"),
        ("cell", "block"),
        ("s", "space"),
        ("s", "search of s"),
    ]
    assert [each["name"] for each in symbols[2]["children"]] == ["out", "stride"]
    folds = client.request("textDocument/foldingRange", document)
    assert [(each["startLine"], each["endLine"]) for each in folds] == [(2, 4), (6, 10)]
    help_ = client.request("textDocument/signatureHelp", at(main, MAIN, "stride = 2", 9))
    assert help_["signatures"][0]["label"] == "cell(out, stride = …)"
    assert help_["activeParameter"] == 1


def test_a_broken_text_and_the_way_back(client: Client, main: str) -> None:
    broken = MAIN.replace("conv(half, 3, stride)", "# 😀\n    cnv(half, 3, stride)")
    (found,) = client.change(main, broken, 2)
    assert (found["code"], found["severity"], found["source"]) == ("E0101", 1, "onepath")
    assert found["range"]["start"] == place(broken, "cnv")
    assert found["message"] == "nothing is named `cnv` here\ndid you mean `conv`?"
    assert found["codeDescription"]["href"].partition("docs/")[2].startswith("diagnostics.md#e0101-")
    lowered = MAIN.replace("half = out // 2", "half = out / 16")
    (found, *_) = client.change(main, lowered, 3)
    (note, *_) = found["relatedInformation"]
    assert note["message"] == "in this call of `cell`"
    assert note["location"]["uri"] == main
    assert client.change(main, MAIN, 4) == []


def test_a_mistake_in_a_used_file_is_shown_where_it_is_used(client: Client, main: str, folder: Path) -> None:
    library = (folder / "blocks.space").as_uri()
    spoilt = BLOCKS.replace("conv(out, 1)", "conv(out, 2)")
    client.open(library, spoilt)
    (found,) = client.diagnostics(main, 1)
    assert found["message"].startswith("in blocks.space: ")
    assert found["range"]["start"] in (
        place(MAIN, "cell(2"),
        place(MAIN, "cell(width"),
        place(MAIN, "lib.unit"),
    )
    assert found["relatedInformation"][0]["location"]["uri"] == library
    client.notify("textDocument/didClose", {"textDocument": {"uri": library}})
    assert client.diagnostics(main, 1) == []


def test_a_change_on_the_disk_is_seen(client: Client, main: str, folder: Path) -> None:
    library = folder / "blocks.space"
    library.write_text("block other { relu }\n", encoding="utf-8")
    changes = {"changes": [{"uri": library.as_uri(), "type": 2}]}
    client.notify("workspace/didChangeWatchedFiles", changes)
    assert "E0101" in {each["code"] for each in client.diagnostics(main, 1)}
    library.write_text(BLOCKS, encoding="utf-8")
    client.notify("workspace/didChangeWatchedFiles", changes)
    assert client.diagnostics(main, 1) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\ud800",
        "block" * 5000,
        "{" * 3000,
        "a = " + "9" * 500,
        "\0\x1b[31m",
        "x" * 300_000,
        '"',
        "#",
        "é" * 99,
    ],
    ids=[
        "empty",
        "surrogate",
        "words",
        "braces",
        "digits",
        "control",
        "large",
        "quote",
        "comment",
        "letters",
    ],
)
def test_no_text_is_too_much(client: Client, text: str) -> None:
    uri = "untitled:Untitled-1"
    found = client.open(uri, text)
    assert len(found) <= 200
    for method in ("hover", "definition", "completion", "signatureHelp", "documentHighlight"):
        message = client.answer(
            f"textDocument/{method}", {"textDocument": {"uri": uri}, "position": {"line": 0, "character": 3}}
        )
        assert "error" not in message
    for method in ("documentSymbol", "foldingRange"):
        assert client.request(f"textDocument/{method}", {"textDocument": {"uri": uri}}) is not None
    client.notify("textDocument/didClose", {"textDocument": {"uri": uri}})


def test_a_text_that_is_not_open_is_refused(client: Client) -> None:
    answer = client.answer("textDocument/hover", at("file:///nowhere.space", "x", "x"))
    assert answer["error"]["message"] == "file:///nowhere.space is not open"
