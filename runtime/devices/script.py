"""The server of a device: started here, or packed as one file, which Python runs on a machine without Onepath."""

from __future__ import annotations

import io
import os
import re
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from runtime.devices import server
from runtime.files import OutputKind

SERVER = OutputKind("a server of a device", re.compile(rb"PK\x03\x04"), ".pyz")
MAIN = "from runtime.devices.server.__main__ import main\n\nmain()\n"


def server_archive() -> bytes:
    """The archive: the folder `server`, in packages that hold nothing else; the same bytes each time."""
    folder = Path(server.__file__).parent
    files = {f"runtime/devices/server/{path.name}": path.read_text("utf-8") for path in folder.glob("*.py")}
    files |= {"__main__.py": MAIN, "runtime/__init__.py": "", "runtime/devices/__init__.py": ""}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(name), text)  # of 1980: no time of today is in it
    return buffer.getvalue()


def serve_here(options: Sequence[str]) -> NoReturn:
    """Become the server, with these options of its command."""
    root = str(Path(server.__file__).parents[3])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-P", "-m", server.__name__, *options]
    os.execve(sys.executable, command, {**os.environ, "PYTHONPATH": path})
