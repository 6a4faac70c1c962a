"""Which bundles are run: those built here, those a person said so of, and those signed with a listed key.

A bundle is code that runs as the user. That it is undamaged says nothing about who made it: its digest must be in
the user's list, or its signature by a key in the other one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from runtime.bundle import Bundle, verify
from runtime.bundle_signature import signature_state, signer
from runtime.console import Progress
from runtime.files import FileProblem, read_json, write_json
from runtime.user_folders import data_folder

SCHEMA = "onepath.trusted_bundles/1"
LOCK_WAIT_S = 10.0
How = Literal["built", "trusted"]
WORDS = {"built": "built here", "trusted": "trusted by its digest"}


def list_path() -> Path:
    """The list of digests."""
    return data_folder() / "trusted_bundles.json"


def remember(bundle: Bundle, how: How) -> None:
    """Have this bundle run from now on, wherever it lies, as long as it does not change.

    Raises:
        FileProblem: the list cannot be read or written.
    """
    entry = {"how": how, "network": bundle.manifest.network, "target": bundle.manifest.target.name}
    _change(bundle.digest, entry)


def forget(bundle: Bundle) -> None:
    """Take a bundle from the list.

    Raises:
        FileProblem: the list cannot be read or written.
    """
    _change(bundle.digest, None)


def note_built(bundle: Bundle, progress: Progress) -> None:
    """Remember a bundle that was built here; where that is not possible, say so and go on."""
    try:
        remember(bundle, "built")
    except FileProblem as problem:
        progress.note(f"the bundle will be run with --trust alone: {problem}")


def standing(bundle: Bundle) -> str:
    """Why a bundle may be run, in words; "" where nothing says so.

    Raises:
        FileProblem: the list or a key cannot be read, or the signature not be checked.
    """
    entry = _listed().get(bundle.digest)
    if entry is not None:
        return WORDS.get(entry["how"], WORDS["trusted"])
    name = signer(bundle)
    return f"signed by {name}" if name else ""


def trusted(folder: Path, trust: bool = False) -> Bundle:
    """The bundle in `folder`, verified, and trusted: by this call, or by what is known of it.

    Raises:
        FileProblem: it is damaged, or nothing says that it may be run; nothing of it was loaded.
    """
    bundle = verify(folder)
    if not trust and not standing(bundle):
        raise FileProblem(
            folder,
            f"was not built here, and is {signature_state(bundle)}: what is in it would run as you",
            f"if you know where it is from, give --trust, or keep that with `onepath bundle trust {folder}`, or "
            "list the key of whoever signed it with `onepath bundle keys add NAME KEY.pub`",
        )
    return bundle


def _listed() -> dict[str, dict[str, Any]]:
    path = list_path()
    if not path.exists():
        return {}
    bundles = read_json(path, SCHEMA).get("bundles")
    sound = isinstance(bundles, dict) and all(isinstance(e, dict) and "how" in e for e in bundles.values())
    if not sound:
        raise FileProblem(path, "is no list of bundles", "delete it, and trust them again")
    return dict(bundles or {})


def _change(digest: str, entry: dict[str, str] | None) -> None:
    """Set or delete one entry, as the list's one writer."""
    path = list_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock"), timeout=LOCK_WAIT_S):
            listed = _listed()
            if listed.get(digest) == entry:
                return
            listed.pop(digest, None)
            write_json(path, {"bundles": listed | ({digest: entry} if entry else {})}, SCHEMA)
    except Timeout:
        raise FileProblem(
            path, f"is in use by another process (waited {LOCK_WAIT_S:g} s)", "try again"
        ) from None
    except OSError as problem:
        raise FileProblem(path, f"cannot be written ({problem.strerror})", "make it writable") from None
