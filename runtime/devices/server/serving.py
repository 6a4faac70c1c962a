"""Serving: the device is offered to the tracker, and one session after the other has a process of its own."""

from __future__ import annotations

import multiprocessing
import select
import signal
import socket
import struct
import sys

from runtime.devices.server.registration import Tracker
from runtime.devices.server.session import ENDING, greet, run_session

RETRY_S, POLL_S, GRACE_S = 2.0, 2.0, 2.0
UNCLAIMED_POLLS = 3
"""After so many polls a client that was sent here and did not come is given up."""
HUNG_UP = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR


class NameTaken(Exception):
    """The tracker knows another device of the key and the name."""


class Server:
    """Offers the device to the tracker, and serves one session after the other."""

    def __init__(self, listener: socket.socket, tracker: tuple[str, int], card: dict[str, object]) -> None:
        self.listener, self.address, self.card = listener, tracker, card
        self.tracker: Tracker | None = None
        self._missed, self._known = False, False
        self._where = f"{tracker[0]}:{tracker[1]}"

    def serve(self) -> None:
        """Go on until the process is told to end; a tracker that is gone is looked for again.

        Raises:
            NameTaken: when the tracker is met first, another device of the key has the name.
        """
        while True:
            try:
                new, first = self.tracker is None, not self._known
                if self.tracker is None:
                    self.tracker = Tracker(self.address, self.card)
                    self._missed = False
                if first and self.tracker.is_named_alike:
                    raise NameTaken
                self._known = True
                self.tracker.offer()
                if new:
                    say(f"the tracker at {self._where} knows this device")
                connection = self._accept(self.tracker)
                if connection is not None:
                    self.tracker.state(busy=True)
                    self._serve_one(connection)
            except OSError as problem:
                self._lose(problem)
                select.select([], [], [], RETRY_S)

    def _lose(self, problem: OSError) -> None:
        """Leave the tracker, which does not answer, to be looked for again; say so once."""
        if not self._missed:
            say(f"no tracker answers at {self._where} ({problem}); looking for one until it is there")
        self._missed = True
        if self.tracker is not None:
            self.tracker.socket.close()
        self.tracker = None

    def _accept(self, tracker: Tracker) -> socket.socket | None:
        """The client that the tracker sent; None where it did not come."""
        unclaimed = 0
        while unclaimed < UNCLAIMED_POLLS:
            if not select.select([self.listener], [], [], POLL_S)[0]:
                unclaimed = 0 if tracker.waiting else unclaimed + 1
                continue
            connection = self.listener.accept()[0]
            try:
                if greet(connection, str(self.card["key"]), tracker.match):
                    return connection
            except (OSError, struct.error):
                pass
            connection.close()
        return None

    def _serve_one(self, connection: socket.socket) -> None:
        """Run a session to its end; one whose client is gone may finish what it does for a moment, no longer."""
        assert self.tracker is not None
        others = [self.listener, self.tracker.socket]
        process = multiprocessing.get_context("fork").Process(
            target=run_session, args=(connection, others), daemon=True
        )
        try:
            _start(process)
            poll = select.poll()
            poll.register(process.sentinel, select.POLLIN)
            poll.register(connection, HUNG_UP)
            poll.poll()
            process.join(GRACE_S)
        finally:
            if process.pid is not None:
                process.kill()
                process.join()
            connection.close()
        if process.exitcode:
            say(
                f"a session ended with {process.exitcode}: what it ran crashed, or its client left it running"
            )


def _start(process: multiprocessing.process.BaseProcess) -> None:
    """Start a process; what ends the server waits until it is there, since Python drops what a handler raises among
    the hooks that run when it forks. The server has this one thread: `ENVIRONMENT` keeps libraries from starting more.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


def say(text: str) -> None:
    """A line for whoever started the server."""
    print(f"device: {text}", file=sys.stderr, flush=True)
