"""The command `onepath lsp`: without pygls, over TCP, and out of the way of the other commands."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import pytest
from typer.testing import CliRunner

from runtime.cli import app, editor
from tests.runtime.lsp.client import Client


def test_without_pygls_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(editor, "find_spec", lambda name: None if name == "pygls" else find_spec(name))
    result = CliRunner().invoke(app, ["lsp"])
    assert result.exit_code == 2
    assert result.stderr == "onepath: the language server needs pygls: pip install 'onepath[lsp]'\n"


@pytest.mark.parametrize("port", ["0", "70000", "x"])
def test_ports_that_are_none(port: str) -> None:
    assert CliRunner().invoke(app, ["lsp", "--tcp", port]).exit_code == 2


def test_other_commands_do_not_pay_for_it() -> None:
    code = (
        "import sys, runtime.cli\n"
        "from compiler.frontend import examine\n"
        "from dsl.format import format_source\n"
        "from dsl.source import Source\n"
        "examine(Source('a.space', 'block a { relu }'))\n"
        "format_source(Source('a.space', 'block a { relu }'))\n"
        "print({'pygls', 'lsprotocol', 'pygments', 'cattrs'} & set(sys.modules))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"


def test_an_editor_that_goes_away_without_a_word() -> None:
    client = Client()
    try:
        client.start()
        client.notify("exit", {})
        assert client.process.wait() == 1
        assert client.process.stderr is not None
        assert client.process.stderr.read() == b""
    finally:
        client.close()


def test_over_tcp() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    client = Client("--tcp", str(port))
    try:
        with connected(port, client) as connection:
            send(connection, id=1, method="initialize", params={"capabilities": {}})
            send(connection, id=2, method="shutdown")
            send(connection, method="exit")
            received = b"".join(iter(lambda: connection.recv(4096), b""))
        assert received.count(b"Content-Length:") == 2
        assert client.process.wait() == 0
        assert client.process.stderr is not None
        assert client.process.stderr.read() == b""
    finally:
        client.close()


def send(connection: socket.socket, **message: Any) -> None:
    body = json.dumps({"jsonrpc": "2.0", **message})
    connection.sendall(f"Content-Length: {len(body)}\r\n\r\n{body}".encode())


def connected(port: int, client: Client) -> socket.socket:
    """A connection to a server that is starting: asked for until it is there, or the server is gone."""
    while client.process.poll() is None:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            continue
    raise AssertionError("the server ended")
