"""Where what a bundle is built from comes from: the revision of a file that lies in a git checkout."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

GIT_S = 10.0
"""How long git may take."""


def git_revision(file: Path) -> dict[str, str | bool]:
    """The commit that a file's checkout is at, and whether the file was changed since; empty where it is in none.

    Git is asked for names alone, `HEAD` and the file in it, and the content is compared here: `git status` and
    `git diff` run what the configuration of a checkout says.
    """
    if not file.is_file():
        return {}
    command = ["git", "-C", str(file.absolute().parent), "rev-parse", "HEAD", f"HEAD:./{file.name}"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=GIT_S, env=environment
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    names = done.stdout.split()
    if done.returncode or len(names) != 2:
        return {}
    return {"git_revision": names[0], "git_changed": names[1] != _blob_name(file, len(names[1]))}


def _blob_name(file: Path, digits: int) -> str:
    """The name that git gives to this content, by SHA-1 or in newer repositories by SHA-256."""
    content = file.read_bytes()
    made = hashlib.sha256() if digits == 64 else hashlib.sha1(usedforsecurity=False)
    made.update(b"blob %d\0" % len(content) + content)
    return made.hexdigest()
