"""The cache of decoded and downloaded data: per user, written atomically, one maker at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from runtime.data.dataset import DataProblem, Labelled
from runtime.files import FileProblem, read_tensors, write_tensors
from runtime.user_folders import cache_folder as user_cache

SCHEMA = "onepath.images/1"


def cache_folder(name: str) -> Path:
    """A folder of the user's cache, made if it is missing.

    Raises:
        DataProblem: it cannot be made.
    """
    folder = user_cache() / "data" / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        way_out = "set XDG_CACHE_HOME to a folder that can be written"
        raise DataProblem(f"the cache {folder} cannot be made ({problem.strerror})", way_out) from None
    return folder


def cached(name: str, key: str, make: Callable[[], dict[str, Labelled]]) -> dict[str, Labelled]:
    """What `make` gives, from the cache where it was made before under this key.

    A damaged file is made again; a second process waits for the first. A cache that cannot be written
    is done without.
    """
    path = cache_folder(name) / f"{key[:32]}.safetensors"
    with FileLock(path.with_suffix(".lock")):
        try:
            return _read(path)
        except FileProblem:
            made = make()
        try:
            _write(path, made)
        except FileProblem:
            path.unlink(missing_ok=True)
    return made


def _read(path: Path) -> dict[str, Labelled]:
    tensors, _ = read_tensors(path, SCHEMA)
    parts = {name.partition(".")[0] for name in tensors}
    return {part: Labelled.of(tensors[f"{part}.pixels"], tensors[f"{part}.labels"]) for part in parts}


def _write(path: Path, parts: dict[str, Labelled]) -> None:
    tensors = {}
    for name, part in parts.items():
        tensors[f"{name}.pixels"] = part.pixels.numpy()
        tensors[f"{name}.labels"] = part.labels.numpy()
    write_tensors(path, tensors, SCHEMA)
