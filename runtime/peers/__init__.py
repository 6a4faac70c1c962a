"""Other ways to run a network, timed beside the bundle: one module a peer, all in one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from runtime.peers import onnxruntime

Image = npt.NDArray[np.float32]
Run = Callable[[Image], Image]
"""One input `[1, C, H, W]` to one output `[1, classes]`."""


class Peer(Protocol):
    """What a peer's module offers. Nothing of the peer's own package is imported before `prepare`."""

    NAME: str
    TITLE: str

    def available(self) -> bool:
        """True if its package is installed."""

    def version(self) -> str:
        """The version of its package."""

    def configuration(self, threads: int) -> Mapping[str, Any]:
        """The settings it runs with, for the report."""

    def prepare(self, model: Path, threads: int) -> Run:
        """Load an ONNX model, ready to run at batch 1 in fp32."""


PEERS: tuple[Peer, ...] = (onnxruntime,)


def peer(name: str) -> Peer:
    """The peer of this name.

    Raises:
        KeyError: there is none.
    """
    return {each.NAME: each for each in PEERS}[name]
