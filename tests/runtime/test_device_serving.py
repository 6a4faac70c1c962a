"""The loop of a device's server, without a tracker and without TVM."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import os, signal, socket
from runtime.devices.server import serving

def session(connection, others):
    connection.recv(1)

def told_to_end():
    os.kill(os.getpid(), signal.SIGTERM)
    for _ in range(1000):
        pass

class Tracker:
    socket = socket.socket()

signal.signal(signal.SIGTERM, signal.default_int_handler)
serving.run_session = session
os.register_at_fork(after_in_parent=told_to_end)
here, there = socket.socketpair()
server = serving.Server(socket.socket(), ("nowhere", 1), {})
server.tracker = Tracker()
try:
    server._serve_one(here)
except KeyboardInterrupt:
    print("ended")
"""


def test_a_server_that_is_told_to_end_while_it_forks_ends() -> None:
    """Python writes down, and drops, what a signal's handler raises among the hooks that run when a process forks."""
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120, check=False
    )
    assert (ran.stdout, ran.stderr) == ("ended\n", "")
