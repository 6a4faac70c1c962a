"""Whether a peer's packages are installed, and which version of them."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence


def installed(packages: Sequence[str]) -> bool:
    """True if every distribution is installed; nothing of them is imported."""
    return not missing(packages)


def missing(packages: Sequence[str]) -> list[str]:
    """The distributions that are not installed."""
    return [name for name in packages if _version(name) is None]


def version_of(packages: Sequence[str]) -> str:
    """The version of the first distribution, which runs the network.

    Raises:
        PackageNotFoundError: it is not installed.
    """
    return importlib.metadata.version(packages[0])


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
