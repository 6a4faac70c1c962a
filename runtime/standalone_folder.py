"""A folder with the standalone form: recognised, compared with its manifest, and kept from being written over.

Nothing here imports what bundles are made of, so that a command for bundles can say what it was given instead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.bundle_runner import manifest as checks
from runtime.files import FileProblem, json_payload

SCHEMA = "onepath.standalone/1"
FOLDER = "standalone"
_PRODUCTS = (".a", ".o", ".so")
"""What compilers make of the files, besides the example."""
_WAY_OUT = "delete the folder and build it again"


@dataclass(frozen=True)
class Standalone:
    """A standalone network on disk. `digest` is the SHA-256 of its manifest, which holds those of its files."""

    folder: Path
    manifest: Mapping[str, Any]
    digest: str

    @property
    def summary(self) -> str:
        """What it takes of a device, in words."""
        sizes = self.manifest["sizes"]
        if sizes["flash_bytes"] is None:
            return f"{sizes['constants_bytes']:,} bytes of constants, an arena of {sizes['arena_bytes']:,}"
        whole = sizes["ram_bytes"]
        ram = (
            f"{sizes['variables_bytes']:,} bytes of RAM and stacks"
            if whole is None
            else f"{whole:,} bytes of RAM"
        )
        return f"{sizes['flash_bytes']:,} bytes of flash, {ram}"

    def describe(self) -> dict[str, Any]:
        """What a build came to, for people and programs."""
        sizes, done = self.manifest["sizes"], self.manifest["numerical_check"]
        checked = ("reference", "by", "max_relative_error", "reason")
        return {
            "standalone": str(self.folder),
            "target": self.manifest["target"]["name"],
            "threads": self.manifest["target"]["threads"],
            "flash_bytes": sizes["flash_bytes"],
            "ram_bytes": sizes["ram_bytes"],
            **{name: done[name] for name in checked if name in done},
        }


def read_standalone(folder: Path) -> Standalone:
    """The standalone network in `folder` by its manifest, whose checksum is compared; its files are not.

    Raises:
        FileProblem: the manifest is missing, damaged, of something else, or lists what no build writes.
    """
    data, path = _manifest_bytes(folder), folder / checks.MANIFEST
    json_payload(path, data, SCHEMA, checksum=False)
    try:
        manifest = json_payload(path, data, SCHEMA)
    except FileProblem as problem:
        raise FileProblem(path, problem.what, _WAY_OUT) from None
    if wrong := checks.wrong_files(manifest.get("files")):
        raise FileProblem(path, wrong, _WAY_OUT)
    return Standalone(folder, manifest, hashlib.sha256(data).hexdigest())


def _manifest_bytes(folder: Path) -> bytes:
    try:
        data = checks.manifest_bytes(folder)
    except checks.BundleProblem:
        raise FileProblem(
            folder, "has no manifest.json that can be read", "name the folder of a build"
        ) from None
    if len(data) > checks.MANIFEST_CAP_BYTES:
        raise FileProblem(folder / checks.MANIFEST, "is too large for a manifest", _WAY_OUT)
    return data


def verify_standalone(folder: Path) -> Standalone:
    """The standalone network in `folder`, every file compared with its manifest; what is built of them may lie there.

    Raises:
        FileProblem: what `read_standalone` raises, or a file is missing, damaged or changed, which it names.
    """
    found = read_standalone(folder)
    wrong = [name for name, entry in found.manifest["files"].items() if not _as_written(folder, name, entry)]
    if wrong:
        raise FileProblem(folder, f"was damaged or changed: {', '.join(sorted(wrong))}", _WAY_OUT)
    return found


def is_standalone(folder: Path) -> bool:
    """Whether the manifest in the folder says so of it, be it damaged or not."""
    try:
        json_payload(folder / checks.MANIFEST, _manifest_bytes(folder), SCHEMA, checksum=False)
    except FileProblem:
        return False
    return True


def refuse_standalone(folder: Path) -> None:
    """Refuse what only a bundle can be used for.

    Raises:
        FileProblem: the folder holds a standalone network.
    """
    if is_standalone(folder):
        raise FileProblem(
            folder, "is a standalone network, no bundle", "link it into a program, as its Makefile does"
        )


def refuse_other(folder: Path) -> None:
    """Refuse to replace what is no standalone network, or holds what somebody wrote into it.

    Raises:
        FileProblem: it does, or its manifest is damaged. What is built of its files is no one's work, and may go.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not is_standalone(folder):
        raise FileProblem(
            folder, "is no standalone network of an earlier build", "choose another folder with --out"
        )
    if own := sorted(_strangers(read_standalone(folder))):
        raise FileProblem(
            folder,
            f"holds {', '.join(own)}, which no build wrote so",
            "move it away, or choose another with --out",
        )


def _strangers(found: Standalone) -> Iterator[str]:
    """Files that a user wrote or changed, by name."""
    files = found.manifest["files"]
    for path in found.folder.iterdir():
        name = path.name
        if name in files:
            ours = _as_written(found.folder, name, files[name])
        else:
            ours = name in (checks.MANIFEST, "example") or path.suffix in _PRODUCTS
            ours = ours or (path / "CMakeCache.txt").is_file()
        if not ours:
            yield name


def _as_written(folder: Path, name: str, entry: dict[str, Any]) -> bool:
    try:
        checks.check_file(folder, name, entry)
    except checks.BundleProblem:
        return False
    return True
