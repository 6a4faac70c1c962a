"""An editor in a script: speaks the protocol with a real `onepath lsp` over its standard input and output."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

PATIENCE = 120
"""Seconds after which a server that does not answer is ended, so that a test fails and does not hang."""


class Client:
    """Sends requests one at a time; notifications that come meanwhile are kept."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "runtime", "lsp", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.notifications: list[dict[str, Any]] = []
        self._number = 0
        self._guard = threading.Timer(PATIENCE, self.process.kill)
        self._guard.daemon = True
        self._guard.start()

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self.process.stdin is not None
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.process.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        length = 0
        while (line := self.process.stdout.readline().strip()) or not length:
            assert line, (
                f"the server is gone: {self.process.stderr.read().decode() if self.process.stderr else ''}"
            )
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        message: dict[str, Any] = json.loads(self.process.stdout.read(length))
        return message

    def notify(self, method: str, params: dict[str, Any]) -> None:
        """Send what has no answer."""
        self._send({"method": method, "params": params})

    def answer(self, method: str, params: Any) -> dict[str, Any]:
        """Send a request and give the whole answer: `result` or `error`."""
        self._number += 1
        self._send({"id": self._number, "method": method, "params": params})
        while True:
            message = self._receive()
            if message.get("id") == self._number:
                return message
            self.notifications.append(message)

    def request(self, method: str, params: Any) -> Any:
        """Send a request and give its result."""
        message = self.answer(method, params)
        assert "error" not in message, message["error"]
        return message["result"]

    def diagnostics(self, uri: str, version: int) -> list[dict[str, Any]]:
        """The findings sent of a version of a text, waited for."""
        while True:
            for message in self.notifications:
                params = message.get("params", {})
                is_it = message.get("method") == "textDocument/publishDiagnostics"
                if is_it and params["uri"] == uri and params.get("version") == version:
                    self.notifications.remove(message)
                    found: list[dict[str, Any]] = params["diagnostics"]
                    return found
            self.notifications.append(self._receive())

    def start(self, root: Path | None = None, encodings: list[str] | None = None) -> dict[str, Any]:
        """The handshake; gives what the server can do."""
        capabilities = {"general": {"positionEncodings": encodings}} if encodings else {}
        params = {
            "processId": None,
            "rootUri": root.as_uri() if root is not None else None,
            "capabilities": capabilities,
        }
        result: dict[str, Any] = self.request("initialize", params)
        self.notify("initialized", {})
        found: dict[str, Any] = result["capabilities"]
        return found

    def open(self, uri: str, text: str, version: int = 1) -> list[dict[str, Any]]:
        """Open a text, and wait for its findings."""
        document = {"uri": uri, "languageId": "space", "version": version, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})
        return self.diagnostics(uri, version)

    def change(self, uri: str, text: str, version: int) -> list[dict[str, Any]]:
        """Replace a text, and wait for its findings."""
        document = {"uri": uri, "version": version}
        self.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [{"text": text}]})
        return self.diagnostics(uri, version)

    def stop(self) -> int:
        """Shut the server down in good order; gives its exit code."""
        self.request("shutdown", None)
        self.notify("exit", {})
        code = self.process.wait()
        self.close()
        return code

    def close(self) -> None:
        """End the server, whatever it does, and close its pipes."""
        self._guard.cancel()
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


def place(text: str, mark: str, shift: int = 0) -> dict[str, int]:
    """The line and the UTF-16 column of the first `mark` of a text, some code points on."""
    before = text[: text.index(mark) + shift]
    line = before.rpartition("\n")[2]
    return {"line": before.count("\n"), "character": len(line.encode("utf-16-le")) // 2}


def at(uri: str, text: str, mark: str, shift: int = 0) -> dict[str, Any]:
    """The parameters of a request about a place."""
    return {"textDocument": {"uri": uri}, "position": place(text, mark, shift)}
