"""Unpack or inspect a packed bundle: every file is compared with the manifest, which stands first."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from runtime.build_folder import refuse_inside_bundle
from runtime.bundle import (
    Bundle,
    FileEntry,
    Manifest,
    checked,
    parse_manifest,
    replace_folder,
    verify,
    write_file,
)
from runtime.bundle_archive.layout import order
from runtime.bundle_archive.pack import SUFFIXES
from runtime.bundle_archive.stream import Archive
from runtime.bundle_runner.manifest import (
    MANIFEST,
    MANIFEST_CAP_BYTES,
    UNLISTED,
    UNLISTED_CAP_BYTES,
    wrong_folder,
)
from runtime.files import FileProblem
from runtime.standalone_folder import is_standalone

Take = Callable[[str, bytes], object]


def inspect(path: Path) -> Bundle:
    """A packed bundle, all of it compared with its manifest; nothing is written, and its folder is the file.

    Raises:
        FileProblem: it is no packed bundle, or is damaged or changed.
    """
    kept: dict[str, bytes] = {}

    def keep(name: str, data: bytes) -> None:
        if name in (MANIFEST, *UNLISTED):
            kept[name] = data

    manifest = _walk(path, keep)
    return checked(Bundle(path, manifest, kept.pop(MANIFEST), kept))


def open_bundle(path: Path) -> Bundle:
    """The bundle in a folder or a packed one, all of it compared with its manifest; nothing is written or loaded.

    Raises:
        FileProblem: it is none, or is damaged or changed.
    """
    return inspect(path) if path.is_file() else verify(path)


def unpack(path: Path, out: Path | None = None, *, force: bool = False) -> Bundle:
    """Unpack into the folder `out`, by default the file's name without its suffix, beside it; whole or not at all.

    With `force` a bundle that is there is replaced; anything else stays.

    Raises:
        FileProblem: it is no packed bundle, or is damaged or changed, or the folder is there or cannot be made.
    """
    folder = _place(path, out, force)
    made = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.new")

    def write(name: str, data: bytes) -> None:
        write_file(made, name, data)

    try:
        _walk(path, write)
        bundle = verify(made)
        replace_folder(made, folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return replace(bundle, folder=folder)


def _place(path: Path, out: Path | None, force: bool) -> Path:
    """The folder to make.

    Raises:
        FileProblem: it is there, and may not be replaced, or the one above it is not.
    """
    if out is None:
        suffix = next((suffix for suffix in SUFFIXES if path.name.endswith(suffix)), "")
        if not suffix or path.name == suffix:
            raise FileProblem(path, f"does not end in {' or '.join(SUFFIXES)}", "name the folder with --out")
        out = path.with_name(path.name.removesuffix(suffix))
    folder = Path(os.path.abspath(out))
    if not folder.parent.is_dir():
        raise FileProblem(folder, "cannot be made: its folder does not exist", "make that, or choose another")
    refuse_inside_bundle(folder.parent)
    if os.path.lexists(folder):
        if folder.is_symlink() or wrong_folder(folder) or is_standalone(folder):
            raise FileProblem(folder, "is there already and is no bundle", "choose another with --out")
        if not force:
            raise FileProblem(
                folder, "is there already", "choose another with --out, or replace it with --force"
            )
    return folder


def _walk(path: Path, take: Take) -> Manifest:
    """Read a packed bundle from begin to end, and hand over each file that is as the manifest says, as it comes.

    Raises:
        FileProblem: it is no packed bundle, or is damaged or changed; files may have been handed over all the same.
    """
    if not path.is_file():
        raise FileProblem(path, "is no file" if path.exists() else "does not exist", "name a packed bundle")
    try:
        with path.open("rb") as file:
            return _files(Archive(path, file, os.fstat(file.fileno()).st_size), path, take)
    except OSError as problem:
        raise FileProblem(path, f"cannot be read ({problem.strerror})", "name a packed bundle") from None


def _files(archive: Archive, path: Path, take: Take) -> Manifest:
    members = archive.files()
    name, size = next(members, ("", 0))
    if name != MANIFEST or size > MANIFEST_CAP_BYTES:
        raise archive.refusal(f"does not begin with a manifest of at most {MANIFEST_CAP_BYTES >> 20} MiB")
    data = archive.content(size)
    manifest = parse_manifest(data, path)
    take(name, data)
    left = order(manifest.files)[1:]
    missing = set(manifest.files)
    for name, size in members:
        if name not in left:
            raise archive.refusal(
                f"holds {name!r} twice, in another order, or without its manifest listing it"
            )
        left = left[left.index(name) + 1 :]
        missing.discard(name)
        take(name, _checked(archive, name, size, manifest.files.get(name)))
    if missing:
        raise archive.refusal(f"lacks {min(missing)}, which its manifest lists")
    return manifest


def _checked(archive: Archive, name: str, size: int, entry: FileEntry | None) -> bytes:
    """The content of a file that the manifest lists as `entry`, or that it need not list."""
    if size > UNLISTED_CAP_BYTES if entry is None else size != entry.size:
        raise archive.refusal(f"holds {name} with {size} bytes, and its manifest says otherwise")
    data = archive.content(size)
    if entry is not None and hashlib.sha256(data).hexdigest() != entry.sha256:
        raise archive.refusal(f"was damaged or changed: {name} is not what its manifest says")
    return data
