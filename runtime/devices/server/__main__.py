"""The server's command: serve this machine as a device, until Ctrl-C."""

from __future__ import annotations

import os
import signal
import socket
import sys
from typing import NoReturn

from runtime.devices.server.listening import PORTS, cannot_listen, exposed, listen
from runtime.devices.server.offered import register
from runtime.devices.server.options import arguments
from runtime.devices.server.serving import NameTaken, Server, say

ENVIRONMENT = {
    "TVM_BIND_THREADS": "0",
    "OMP_NUM_THREADS": "1",
    # Times must not depend on which small pages a process gets (glibc 2.35; others ignore it).
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}
"""What has to be set before the process starts."""


def refuse(text: str) -> NoReturn:
    """End with a message and exit code 2."""
    say(text)
    raise SystemExit(2)


def main() -> None:
    """Serve until Ctrl-C."""
    given = arguments()
    ports = PORTS if given.port is None else range(given.port, given.port + 1)
    warning = exposed(given.host, ports[0])
    if warning and not given.expose:
        refuse(warning)
    if any(os.environ.get(name) != value for name, value in ENVIRONMENT.items()):
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **ENVIRONMENT})
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        listener = _listener(given.host, ports)
        if warning:
            say(f"warning: {warning.partition('. ')[0]}")
        own = listener.getsockname()[1]
        register(given.name, given.cores)
        host, port = given.reach or (None, own)
        card = {"key": given.key, "name": given.name, "addr": [host, port]}
        say(f"`{given.name}` serves as `{given.key}` at {given.host}:{own}; Ctrl-C ends it")
        Server(listener, given.tracker, card).serve()
    except NameTaken:
        refuse(f"a device of key `{given.key}` is named `{given.name}` already; choose another with --name")
    except KeyboardInterrupt:
        say("ended")


def _listener(host: str, ports: range) -> socket.socket:
    try:
        return listen(host, ports)
    except OSError as problem:
        refuse(cannot_listen(host, ports, problem))


if __name__ == "__main__":
    main()
