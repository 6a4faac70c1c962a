"""The command for editors: lsp."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from typing import Annotated

import typer

from runtime.cli.common import NO, CommandError, command

LOOPBACK = "127.0.0.1"


@command
def lsp(
    tcp: Annotated[
        int | None,
        typer.Option(
            "--tcp", metavar="PORT", min=1, max=65535, help="serve one editor on this port, not on stdin"
        ),
    ] = None,
) -> None:
    """Serve an editor by the Language Server Protocol on standard input and output; editors start it themselves.

    docs/editors.md says how. With --tcp it listens on this machine's own address only. Ends with 1 where the
    editor went away without a word.

    Example: onepath lsp
    """
    missing = [name for name in ("pygls", "lsprotocol") if find_spec(name) is None]
    if missing:
        raise CommandError(f"the language server needs {missing[0]}: pip install 'onepath[lsp]'")
    from runtime.lsp.server import make_server

    server = make_server()
    if tcp is not None:
        server.start_tcp(LOOPBACK, tcp)
    else:
        # The server closes what it writes to; standard output is flushed once more at the end.
        with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as output:
            server.start_io(sys.stdin.buffer, output)
    if not server.was_shut_down:
        raise typer.Exit(NO)
