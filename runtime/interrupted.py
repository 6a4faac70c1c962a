"""What an interrupt leaves behind, in the words of the work that was interrupted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def told(words: Callable[[], str]) -> Iterator[None]:
    """Give an interrupt in its block words for the person who sent it, unless it has some: what is kept."""
    try:
        yield
    except KeyboardInterrupt as stop:
        raise stop if stop.args else KeyboardInterrupt(words()) from None
