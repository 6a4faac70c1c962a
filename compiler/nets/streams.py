"""Named random streams: every draw is a function of a seed, a name and an index.

Nothing is carried from one draw to the next, so a resumed run draws what the undisturbed one would have
drawn, and a stream that is added later leaves the others as they were.
"""

from __future__ import annotations

import hashlib

import torch


def seed_of(seed: int, name: str, index: int = 0) -> int:
    """A 63-bit seed for draw `index` of the stream `name`."""
    digest = hashlib.sha256(f"{seed}/{name}/{index}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def stream(seed: int, name: str, index: int = 0) -> torch.Generator:
    """A CPU generator for draw `index` of the stream `name`."""
    return torch.Generator().manual_seed(seed_of(seed, name, index))
