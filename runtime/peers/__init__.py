"""Other ways to run a network, timed beside the bundle: one module a peer, all in one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from runtime.peers import iree, litert, ncnn, onnxruntime, openvino, torch_compiled, torch_eager
from runtime.peers.packages import missing

Image = npt.NDArray[np.float32]
Run = Callable[[Image], Image]
"""One input `[1, C, H, W]` to one output `[1, classes]`."""


class Peer(Protocol):
    """What a peer's module offers. Nothing of the peer's own package is imported before `prepare`."""

    NAME: str
    TITLE: str
    PACKAGES: tuple[str, ...]

    def available(self) -> bool:
        """True if its packages are installed."""

    def version(self) -> str:
        """The version of its package."""

    def configuration(self, threads: int) -> Mapping[str, Any]:
        """The settings it runs with, for the report."""

    def prepare(self, model: Path, threads: int) -> Run:
        """Load an ONNX model, ready to run at batch 1 in fp32."""


PEERS: tuple[Peer, ...] = (onnxruntime, openvino, ncnn, iree, litert, torch_eager, torch_compiled)
USUAL = (onnxruntime.NAME,)
"""The peers of a benchmark that names none: what everybody has, and is quick to load."""


class UnknownPeer(Exception):
    """A name that no peer has; the message lists those there are."""


def peer(name: str) -> Peer:
    """The peer of this name.

    Raises:
        UnknownPeer: there is none.
    """
    named = {each.NAME: each for each in PEERS}
    if name not in named:
        raise UnknownPeer(f"no peer is called `{name}`; there are {', '.join(named)}")
    return named[name]


def absence(peer: Peer) -> str:
    """Why a peer cannot take part, and what would help; "" where it can."""
    if peer.available():
        return ""
    return f"not installed: pip install {' '.join(missing(peer.PACKAGES))}"
