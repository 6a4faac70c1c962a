"""Files that are whole or absent: atomic writes, checksums, schema versions, one writer per folder.

A file is written beside its place, synced and renamed, so that a kill or a full disk leaves what was
there before. What a program alone writes carries a checksum over its content; what a person may edit
carries none. Every finding is a `FileProblem` that names the file, what is wrong and the way out.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import socket
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

LOCK, HOLDER = ".onepath.lock", ".onepath.holder"
LOCK_WAIT_S = 1.0
"""How long a second writer waits for a folder before it is refused."""
TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")
"""The names of files that are being written."""
SWEEP_DEPTH, SWEEP_FOLDERS = 4, 1000
"""How far below a folder, and in how many folders, what a kill left behind is looked for."""
READ_CAP_BYTES = 1 << 30
"""The largest JSON file that is read: bounds what a hostile file can ask for."""
HEAD_BYTES = 1 << 10
"""How much of a file is read to see of which kind it is."""


class FileProblem(Exception):
    """A file that cannot be used or written: which, what is wrong, and the way out."""

    def __init__(self, path: Path | str, what: str, way_out: str) -> None:
        super().__init__(f"{path}: {what}; {way_out}")
        self.path, self.what, self.way_out = Path(path), what, way_out


@dataclass(frozen=True, slots=True)
class OutputKind:
    """A kind of file that a command writes: its name in messages, how such a file begins, a suffix it must have."""

    what: str
    begins: re.Pattern[bytes]
    suffix: str = ""

    def holds(self, path: Path) -> bool:
        """Whether a file begins as this kind does.

        Raises:
            OSError: it cannot be read.
        """
        with path.open("rb") as file:
            return self.begins.match(file.read(HEAD_BYTES)) is not None


def json_kind(what: str, schema: str) -> OutputKind:
    """The kind of JSON files, or of JSON lines, that state this schema first, in whatever version."""
    kind = re.escape(schema.partition("/")[0])
    return OutputKind(what, re.compile(rb'\s*\{\s*"schema":\s*"' + kind.encode() + rb"/"))


SVG = OutputKind("an SVG picture", re.compile(rb"\s*(<\?xml[^>]*>\s*)?<svg\b"), ".svg")


HTML = OutputKind("an HTML page", re.compile(rb"\s*<!doctype html\b", re.IGNORECASE))


def checked_output(path: Path, kind: OutputKind, *, inputs: Iterable[Path] = (), force: bool = False) -> Path:
    """Where to write a file that a person named: the path, or what it links to. To be called before the work.

    A file that is there is only replaced with `force`, and only where it is of the same kind. `inputs` are
    files that the command reads: none of them is written over, whether it is there or not.

    Raises:
        FileProblem: it lacks the suffix, is a folder or a device, its folder is missing or cannot be written
            to, it is an input, or it is there and may not be replaced.
    """
    if str(path) == "-":
        raise FileProblem(path, "is not the name of a file", "give one")
    if kind.suffix and path.suffix.lower() != kind.suffix:
        raise FileProblem(path, f"is to be {kind.what}", f"give it a name that ends in {kind.suffix}")
    real = Path(os.path.realpath(path))
    if real in {Path(os.path.realpath(each)) for each in inputs}:
        raise FileProblem(path, "belongs to what this command reads", "choose another name")
    try:
        _refuse_present(path, kind, force)
    except OSError as problem:
        raise FileProblem(path, f"cannot be written ({problem.strerror})", "choose another name") from None
    if not real.parent.is_dir():
        raise FileProblem(
            path, "cannot be written: its folder does not exist", "make that, or choose another"
        )
    if not os.access(real.parent, os.W_OK | os.X_OK):
        raise FileProblem(path, "cannot be written: its folder is read-only", "choose another folder")
    return real if path.is_symlink() else path


def _refuse_present(path: Path, kind: OutputKind, force: bool) -> None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        what = "is a folder" if stat.S_ISDIR(mode) else "is no regular file"
        raise FileProblem(path, what, "give the name of a file")
    if not kind.holds(path):
        raise FileProblem(path, f"is there already and is not {kind.what}", "choose another name")
    if not force:
        raise FileProblem(path, "is there already", "choose another name, or replace it with --force")


def write_atomic(path: Path | str, content: bytes | str, mode: int = 0o666) -> Path:
    """Replace the file by `content`, wholly or not at all; makes missing parent folders.

    Raises:
        FileProblem: the disk is full, or the place cannot be written; the old file still stands.
    """
    path = Path(path)
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_synced(temporary, data, mode)
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as problem:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        reason = problem.strerror or str(problem)
        raise FileProblem(
            path, f"cannot be written ({reason})", "free some space or choose another place"
        ) from None
    return path


def _write_synced(path: Path, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_bytes(path: Path | str, way_out: str = "run the stage that writes it") -> bytes:
    """The content of a file.

    Raises:
        FileProblem: it is missing, unreadable or larger than `READ_CAP_BYTES`.
    """
    path = Path(path)
    try:
        if path.stat().st_size > READ_CAP_BYTES:
            raise FileProblem(path, f"is larger than {READ_CAP_BYTES} bytes", "give the right file")
        return path.read_bytes()
    except FileNotFoundError:
        raise FileProblem(path, "does not exist", way_out) from None
    except OSError as problem:
        raise FileProblem(path, f"cannot be read ({problem.strerror})", "give a readable file") from None


def sha256_file(path: Path | str) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as problem:
        raise FileProblem(path, f"cannot be read ({problem.strerror})", "give a readable file") from None


def canonical_json(payload: object) -> bytes:
    """JSON with sorted keys and no spaces: the bytes that checksums are taken over."""
    return json.dumps(payload, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def write_json(path: Path | str, payload: Mapping[str, Any], schema: str, checksum: bool = True) -> Path:
    """Write `payload` as indented JSON with its schema, and a checksum where a program alone writes it.

    Raises:
        FileProblem: the place cannot be written.
        ValueError: the payload holds a NaN, an infinity or what JSON cannot say.
    """
    return write_atomic(path, json_document(payload, schema, checksum))


def json_document(payload: Mapping[str, Any], schema: str, checksum: bool = True) -> str:
    """The text that `write_json` writes.

    Raises:
        ValueError: the payload holds a NaN, an infinity or what JSON cannot say.
    """
    body = json.loads(json.dumps({"schema": schema, **payload}, allow_nan=False))
    if checksum:
        body["checksum"] = _checksum(body)
    return json.dumps(body, indent=2, ensure_ascii=False) + "\n"


def _checksum(body: Mapping[str, Any]) -> str:
    content = {key: value for key, value in body.items() if key != "checksum"}
    return "sha256:" + hashlib.sha256(canonical_json(content)).hexdigest()


def read_json(path: Path | str, schema: str, checksum: bool = True) -> dict[str, Any]:
    """The payload of a JSON file of this schema, without schema and checksum.

    Raises:
        FileProblem: it is missing, no JSON, of another schema or version, or its checksum fails.
    """
    path = Path(path)
    return json_payload(path, read_bytes(path), schema, checksum)


def json_payload(path: Path, data: bytes, schema: str, checksum: bool = True) -> dict[str, Any]:
    """The payload of a JSON document of this schema, as `read_json` reads it; `path` names it in messages.

    Raises:
        FileProblem: it is no JSON, of another schema or version, or its checksum fails.
    """
    body = _parse(path, data)
    check_schema(path, body.get("schema"), schema)
    if checksum and body.get("checksum") != _checksum(body):
        raise FileProblem(path, "was damaged or changed (its checksum fails)", "delete it and make it again")
    return {key: value for key, value in body.items() if key not in ("schema", "checksum")}


def _parse(path: Path, data: bytes) -> dict[str, Any]:
    try:
        body = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as problem:
        raise FileProblem(path, f"is not valid JSON ({problem})", "correct it or make it again") from None
    if not isinstance(body, dict):
        raise FileProblem(path, "holds no JSON object", "correct it or make it again")
    return body


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def check_schema(path: Path | str, found: object, wanted: str) -> None:
    """Refuse a file of another kind, or of another version of this kind.

    Raises:
        FileProblem: `found` is not `wanted`.
    """
    if found == wanted:
        return
    kind, _, version = wanted.partition("/")
    if not isinstance(found, str):
        raise FileProblem(path, "states no schema", f'give a file of schema "{wanted}"')
    if found.partition("/")[0] == kind:
        what = f"is of version {found.partition('/')[2]} of {kind}, and this program reads version {version}"
        raise FileProblem(path, what, "make it again with this version")
    raise FileProblem(path, f"is of schema {found}, not {wanted}", "give the right file")


Tensors = Mapping[str, np.ndarray[Any, Any]]


def write_tensors(
    path: Path | str,
    tensors: Tensors,
    schema: str = "onepath.tensors/1",
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Write arrays as safetensors, with schema, `metadata` and a checksum over names, types and bytes.

    Equal content gives equal bytes.
    """
    ordered = {
        name: np.ascontiguousarray(tensors[name]).reshape(tensors[name].shape) for name in sorted(tensors)
    }
    notes = {**(metadata or {}), "schema": schema}
    notes["checksum"] = _tensor_checksum(ordered, notes)
    return write_atomic(path, _with_sorted_header(save(ordered, metadata=notes)))


def _with_sorted_header(content: bytes) -> bytes:
    """A safetensors file with the keys of its JSON header in order: the library writes metadata in any."""
    length = int.from_bytes(content[:8], "little")
    header = canonical_json(json.loads(content[8 : 8 + length]))
    padded = header + b" " * (-len(header) % 8)
    return len(padded).to_bytes(8, "little") + padded + content[8 + length :]


def read_tensors(
    path: Path | str, schema: str = "onepath.tensors/1"
) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, str]]:
    """The arrays and the metadata of a safetensors file of this schema.

    Raises:
        FileProblem: it is missing, torn, of another schema, or its checksum fails.
    """
    path = Path(path)
    if not path.is_file():
        raise FileProblem(path, "does not exist", "run the stage that writes it")
    try:
        with safe_open(path, framework="numpy") as file:
            notes = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no mapping
    except (SafetensorError, OSError, ValueError, TypeError, KeyError) as problem:
        raise FileProblem(path, f"is no whole safetensors file ({problem})", "make it again") from None
    check_schema(path, notes.get("schema"), schema)
    if notes.pop("checksum", None) != _tensor_checksum(tensors, notes):
        raise FileProblem(path, "was damaged or changed (its checksum fails)", "make it again")
    del notes["schema"]
    return tensors, notes


def _tensor_checksum(tensors: Tensors, notes: Mapping[str, str]) -> str:
    digest = hashlib.sha256(canonical_json(notes))
    for name in sorted(tensors):
        array = tensors[name]
        digest.update(canonical_json([name, str(array.dtype), list(array.shape)]))
        digest.update(np.ascontiguousarray(array).data)
    return "sha256:" + digest.hexdigest()


def _say_on_stderr(message: str) -> None:
    print(message, file=sys.stderr)


@contextmanager
def folder_lock(folder: Path | str, say: Callable[[str], None] = _say_on_stderr) -> Iterator[None]:
    """Hold the folder as its one writer; makes the folder. What a dead writer held is taken over, and said so.

    Files that a killed writer left half written are deleted, but not in a folder below with a lock of its own.

    Raises:
        FileProblem: another process holds it, which the message names, or the folder cannot be made.
    """
    folder = Path(folder)
    holder = folder / HOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK, timeout=LOCK_WAIT_S)
        lock.acquire(poll_interval=0.05)
    except Timeout:
        raise FileProblem(
            folder,
            f"is in use by {_holder(holder)} (waited {LOCK_WAIT_S:g} s)",
            "wait for it to end, or use another folder",
        ) from None
    except FileExistsError:
        raise FileProblem(folder, "is a file, not a folder", "choose another place") from None
    except OSError as problem:
        raise FileProblem(folder, f"cannot be locked ({problem.strerror})", "choose another folder") from None
    try:
        if holder.exists():
            say(f"{folder}: {_holder(holder)} ended before it was finished here; this run takes over from it")
        _sweep(folder)
        write_atomic(holder, f"process {os.getpid()} on {socket.gethostname()}\n")
        yield
    finally:
        with suppress(OSError):
            holder.unlink(missing_ok=True)
        lock.release()


def _sweep(folder: Path) -> None:
    for place, folders, files in islice(os.walk(folder), SWEEP_FOLDERS):
        below = Path(place)
        if below != folder and LOCK in files:
            folders.clear()
            continue
        if len(below.relative_to(folder).parts) >= SWEEP_DEPTH:
            folders.clear()
        for name in filter(TEMPORARY.fullmatch, files):
            with suppress(OSError):
                (below / name).unlink()


def _holder(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()[:200] or "another process"
    except OSError:
        return "another process"
