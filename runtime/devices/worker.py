"""A worker process that runs what it builds on a remote device, from the outside."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from runtime.workers import Worker

Step = tuple[Mapping[str, Any] | None, float]
"""A request, None for what the process says when it has started, and how many seconds the answer may take."""
Errand = Generator[Step, dict[str, Any], None]
"""What a worker does next, step by step: it is sent each answer, and a failure is raised in it."""


class DeviceWorker(Worker):
    """A process with a session on a device, or on its way to one.

    `strikes` counts what befell it since its last sound batch; with too many it is `retired`.
    """

    def __init__(self, threads: int) -> None:
        super().__init__((), threads)
        self.name, self.processor, self.strikes, self.retired = "", "", 0, False
        self._session = -1

    @property
    def attached(self) -> bool:
        """Whether this process has a session."""
        return self._process is not None and self._session == self.generation

    def attach(self, name: str, processor: str) -> None:
        """The session of this process is on that device."""
        self.name, self.processor, self._session = name, processor, self.generation

    def launch(self) -> bool:
        """Start the process where none runs; whether what it says first is still to be received."""
        if self._process is None:
            self.start()
        waiting, self._starting = self._starting, False
        return waiting

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"`{self.name}`" if self.name else "a device"
