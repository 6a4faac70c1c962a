"""Where a user's own files are: what must be kept, and what can be made or fetched again."""

from __future__ import annotations

from pathlib import Path

import platformdirs


def data_folder() -> Path:
    """Records, and what the user trusts; `XDG_DATA_HOME` moves it."""
    return Path(platformdirs.user_data_dir("onepath", appauthor=False))


def cache_folder() -> Path:
    """Data sets and TVM's libraries; `XDG_CACHE_HOME` moves it."""
    return Path(platformdirs.user_cache_dir("onepath"))
