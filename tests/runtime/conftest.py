"""What tests of the runtime share: a cache of their own."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache folder, moved to a temporary place."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Tiny steps are far slower on two threads when the machine is busy: the threads wait for each other."""
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(1)
