"""One session: the greeting of the client that the tracker sent, and the process that does what it says."""

from __future__ import annotations

import os
import signal
import socket
import struct

from runtime.devices.server.registration import ANSWER_S

ENDING = (signal.SIGINT, signal.SIGTERM)
"""What tells the server to end."""


def greet(connection: socket.socket, key: str, match: str) -> bool:
    """Whether who connected was sent by the tracker; answers as TVM's server does."""
    from tvm.rpc import base

    def number() -> int:
        return int(struct.unpack("<i", base.recvall(connection, 4))[0])

    connection.settimeout(ANSWER_S)
    length = number() if number() == base.RPC_MAGIC else 0
    if not 0 < length <= 1024:
        return False
    said: str = base.recvall(connection, length).decode(errors="replace")
    fits = said.split()[:1] == [f"client:{match}"]
    connection.sendall(struct.pack("<i", base.RPC_CODE_SUCCESS if fits else base.RPC_CODE_MISMATCH))
    if fits:
        own = f"server:{key}".encode()
        connection.sendall(struct.pack("<i", len(own)) + own)
    connection.setblocking(True)
    return fits


def run_session(connection: socket.socket, others: list[socket.socket]) -> None:
    """What the process of a session does: whatever its client says, until that hangs up."""
    import ctypes

    for number in ENDING:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    set_signal_on_parents_death = 1
    ctypes.CDLL(None).prctl(set_signal_on_parents_death, signal.SIGKILL)
    for other in others:
        other.close()
    from tvm.rpc import _ffi_api, server
    from tvm.support import utils

    server.logger.setLevel("WARNING")
    folder = utils.tempdir()
    os.chdir(folder.path)
    server._server_env([], folder)
    try:
        _ffi_api.ServerLoop(connection.fileno())
    except Exception:  # TVM raises where the client is gone in the middle of a message
        raise SystemExit(1) from None
