"""The connection to the tracker that a device registers with."""

from __future__ import annotations

import socket
import struct

ANSWER_S = 5.0
"""How long whoever is at the other end may take to answer."""


class Tracker:
    """The connection to the tracker: tells it that this device is there and free, or busy."""

    def __init__(self, address: tuple[str, int], card: dict[str, object]) -> None:
        """`card` is what it says of the device: `key`, `name`, and `addr`, of host (or None) and port."""
        from tvm.rpc import base

        self._base, self.card = base, card
        self.socket = socket.create_connection(address, ANSWER_S)
        self.socket.sendall(struct.pack("<i", base.RPC_TRACKER_MAGIC))
        if struct.unpack("<i", base.recvall(self.socket, 4))[0] != base.RPC_TRACKER_MAGIC:
            raise OSError("what answers there is no tracker")
        self.match = ""

    def _ask(self, *message: object) -> object:
        self._base.sendjson(self.socket, list(message))
        return self._base.recvjson(self.socket)

    def offer(self) -> None:
        """Put the device where clients can ask for it, under a new secret."""
        key, reach = str(self.card["key"]), self.card["addr"]
        assert isinstance(reach, list)
        self.match = self._base.random_key(key)
        self.state(busy=False)
        self._ask(self._base.TrackerCode.PUT, key, (reach[1], self.match), reach[0])

    def state(self, *, busy: bool) -> None:
        """Say whether a session is running; the tracker shows it to whoever lists the devices."""
        info = {**self.card, "key": f"server:{self.card['key']}", "busy": busy}
        self._ask(self._base.TrackerCode.UPDATE_INFO, info)

    @property
    def is_named_alike(self) -> bool:
        """Whether another device of the key has the name: records could not tell the two apart."""
        known = self._ask(self._base.TrackerCode.SUMMARY)
        own = (f"server:{self.card['key']}", self.card["name"])
        devices = known[1].get("server_info", []) if isinstance(known, list) else []
        return any((each.get("key"), each.get("name")) == own for each in devices)

    @property
    def waiting(self) -> bool:
        """Whether no client was sent here yet."""
        pending = self._ask(self._base.TrackerCode.GET_PENDING_MATCHKEYS)
        return isinstance(pending, list) and self.match in pending
