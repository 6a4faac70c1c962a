"""The tracker, which knows the devices, and how clients talk to it: TVM's protocol, JSON with its length before it."""

from __future__ import annotations

import json
import logging
import socket
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from dsl.suggest import did_you_mean, listed
from runtime.devices.server.listening import address

MAGIC = 0x2F271
REQUEST, SUMMARY, SUCCESS = 4, 6, 0
"""TVM's numbers, of `tvm/rpc/base.py`."""
ANSWER_S = 5.0
"""How long a tracker may take to answer."""
SERVER = "server:"
"""What stands before the key of a device in the tracker's list."""


class DeviceProblem(Exception):
    """No tracker, no device of that key, none left, or none that fits; the message says what to do."""


class NoneFree(DeviceProblem):
    """All devices of a key are busy."""


@dataclass(frozen=True)
class Address:
    """Where a tracker is."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Address:
        """The address in `HOST:PORT`.

        Raises:
            DeviceProblem: it is none.
        """
        try:
            return cls(*address(text))
        except ValueError as problem:
            raise DeviceProblem(f"--tracker {problem}") from None


@dataclass(frozen=True)
class RemoteDevice:
    """Devices of one kind: what they are asked for by, and the tracker that knows them."""

    key: str
    tracker: Address

    def to_json(self) -> dict[str, Any]:
        """What a process needs to take a session."""
        return {"key": self.key, "host": self.tracker.host, "port": self.tracker.port}


@dataclass(frozen=True)
class Listed:
    """A device as the tracker knows it; a server of TVM's own has no name and does not say whether it is busy."""

    key: str
    name: str
    address: str
    busy: bool


@dataclass(frozen=True)
class Offer:
    """A device that the tracker has given to this client, and the secret that it expects."""

    host: str
    port: int
    match: str


class Connection:
    """A connection to a tracker; use it in `with`.

    Raises:
        DeviceProblem: no tracker answers there.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        try:
            self._socket = socket.create_connection((address.host, address.port), ANSWER_S)
        except OSError as problem:
            raise self._silent(problem) from None
        try:
            self._socket.sendall(struct.pack("<i", MAGIC))
            known = struct.unpack("<i", self._receive(4))[0] == MAGIC
        except (OSError, struct.error) as problem:
            self._socket.close()
            raise self._silent(problem) from None
        if not known:
            self._socket.close()
            raise DeviceProblem(f"what answers at {address} is no tracker")

    def _silent(self, problem: Exception) -> DeviceProblem:
        start = "start one with `onepath device tracker`, or name another with --tracker HOST:PORT"
        return DeviceProblem(f"no tracker answers at {self.address} ({problem}); {start}")

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def _receive(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self._socket.recv(count - len(data))
            if not part:
                raise OSError("it hung up")
            data += part
        return data

    def _ask(self, *message: object) -> Any:
        """The answer to a message.

        Raises:
            OSError: there is none in time.
        """
        text = json.dumps(message).encode()
        self._socket.sendall(struct.pack("<i", len(text)) + text)
        status, value = json.loads(self._receive(struct.unpack("<i", self._receive(4))[0]))
        if status != SUCCESS:
            raise OSError(f"it answers {status}")
        return value

    def devices(self) -> list[Listed]:
        """All devices that the tracker knows, in the order of keys and names.

        Raises:
            DeviceProblem: it does not answer.
        """
        try:
            found = self._ask(SUMMARY)
        except (OSError, ValueError) as problem:
            raise self._silent(problem) from None
        devices = [
            Listed(
                str(each["key"]).removeprefix(SERVER),
                str(each.get("name", "")),
                ":".join(map(str, each["addr"])),
                bool(each.get("busy", False)),
            )
            for each in found["server_info"]
        ]
        return sorted(devices, key=lambda device: (device.key, device.name, device.address))

    def of_key(self, key: str) -> list[Listed]:
        """The devices of a key, at least one.

        Raises:
            DeviceProblem: there is none; the message names the keys there are.
        """
        found = self.devices()
        chosen = [device for device in found if device.key == key]
        if not chosen:
            raise DeviceProblem(_no_such(key, sorted({device.key for device in found}), self.address))
        return chosen

    def request(self, key: str, seconds: float) -> Offer:
        """A free device of a key, waited for.

        Raises:
            NoneFree: none became free in time.
            DeviceProblem: the tracker is gone.
        """
        self._socket.settimeout(seconds)
        try:
            host, port, match = self._ask(REQUEST, key, "", 1)
        except TimeoutError:
            raise NoneFree(f"no device of key `{key}` became free within {seconds:g} s") from None
        except (OSError, ValueError) as problem:
            raise self._silent(problem) from None
        return Offer(host, port, match)


def _no_such(key: str, known: Sequence[str], address: Address) -> str:
    if not known:
        hint = f"it knows none; start one with `onepath device serve --key {key} --tracker {address}`"
    else:
        hint = did_you_mean(key, known) or f"it knows {listed([f'`{each}`' for each in known], 'and')}"
    return f"the tracker at {address} knows no device of key `{key}`; {hint}"


def run_tracker(listener: socket.socket, announce: Callable[[], None]) -> None:
    """Be the tracker, on a socket that listens, until the process is told to end; `announce` when it is ready.

    Raises:
        DeviceProblem: a package is missing.
    """
    try:
        from tvm.rpc import tracker
    except ImportError as problem:
        hint = "install it with `pip install 'onepath[devices]'`"
        raise DeviceProblem(f"the tracker needs the package `tornado`; {hint}") from problem
    for handler in tracker.logger.handlers:
        handler.setFormatter(logging.Formatter("onepath: the tracker: %(message)s"))
    announce()
    with suppress(KeyboardInterrupt):
        tracker._tracker_server(listener, tracker.base.random_key("tracker"))
