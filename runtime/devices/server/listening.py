"""Where a server or the tracker listens, and the warning that belongs to it."""

from __future__ import annotations

import errno
import getpass
import socket

PORTS = range(9091, 9190)
"""Where a free port is looked for: below the tracker's own."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")
EXPOSED = (
    "whoever can reach {host}:{port} gets full control of this machine's account `{user}`: they can read, write "
    "and run anything. Listen on 127.0.0.1 and bring the port to others with ssh, or say --expose"
)


def exposed(host: str, port: int) -> str:
    """The warning that belongs to an address that other machines can reach; "" of this machine's own."""
    return "" if host in LOOPBACK else EXPOSED.format(host=host, port=port, user=getpass.getuser())


def listen(host: str, ports: range) -> socket.socket:
    """A socket that listens at the first free port.

    Raises:
        OSError: none is free, or the host is not this machine's.
    """
    for port in ports:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(16)
            return listener
        except OSError:
            listener.close()
            if port == ports[-1]:
                raise
    raise OSError("no port was named")


def cannot_listen(host: str, ports: range, problem: OSError) -> str:
    """The message for an address that cannot be listened at, with the option that names another."""
    where = f"{host}, port {ports[0]}{f' to {ports[-1]}' if len(ports) > 1 else ''}"
    other = "--port" if problem.errno in (errno.EADDRINUSE, errno.EACCES) else "--host"
    return f"cannot listen at {where}: {problem.strerror or problem}; name another with {other}"


def address(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`; of `[::1]:9190` without the brackets.

    Raises:
        ValueError: it is none.
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise ValueError(f"{text} is no address: write HOST:PORT, as in 127.0.0.1:9190")
    return host.strip("[]"), int(port)
