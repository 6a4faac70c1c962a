"""A bundle's manifest: every file compared with it, the machine, threads and cores that it can run on."""

from __future__ import annotations

import hashlib
import json
import operator
import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SCHEMA = "onepath.bundle/1"
MANIFEST = "manifest.json"
UNLISTED = ("manifest.json.sig", "benchmark.json")
"""What may lie in a bundle though its manifest does not list it: a signature of that, and a measurement."""
MANIFEST_CAP_BYTES, UNLISTED_CAP_BYTES = 8 << 20, 64 << 10
"""How large a manifest may be, and each file that it need not list."""
NESTING_CAP = 32
"""How deep a manifest may be nested: each level is two spaces at the begin of a line."""
FILES_CAP, NAME_CAP, TOTAL_CAP_BYTES = 1000, 90, 2 << 30
"""How many files a bundle may have, how many characters each name, and how many bytes all of them."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*(/[A-Za-z0-9_][A-Za-z0-9._+-]*)*\Z")


class BundleProblem(Exception):
    """A bundle or an input that cannot be used: what is wrong, and the way out."""


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a bundle, its own checksum and each file's size and SHA-256 compared.

    Raises:
        BundleProblem: a file is missing, damaged or changed, or the manifest is of another version.
    """
    manifest = parse_manifest(manifest_bytes(folder), str(folder / MANIFEST))
    for name, entry in manifest["files"].items():
        check_file(folder, name, entry)
    return manifest


def manifest_bytes(folder: Path) -> bytes:
    """The bytes of a bundle's manifest, as they stand on disk.

    Raises:
        BundleProblem: there is none, or it is larger than `MANIFEST_CAP_BYTES`.
    """
    wrong = wrong_folder(folder)
    if wrong:
        raise BundleProblem(f"{folder} {'; '.join(wrong)}")
    try:
        with open(folder / MANIFEST, "rb") as file:
            return file.read(MANIFEST_CAP_BYTES + 1)
    except OSError as problem:
        raise BundleProblem(f"{folder / MANIFEST} cannot be read ({problem.strerror})") from None


def parse_manifest(data: bytes, where: str) -> dict[str, Any]:
    """The manifest in these bytes, which are those that a build writes, and its list of files; without `checksum`.

    `where` names it in messages. A text that says the same otherwise (spaces, a key twice, an escape) is refused:
    no two readers may understand it differently, and its SHA-256 stands for it.

    Raises:
        BundleProblem: it is no manifest, of another version, was changed, or lists what a bundle cannot hold.
    """
    if len(data) > MANIFEST_CAP_BYTES:
        raise BundleProblem(f"{where} is larger than {MANIFEST_CAP_BYTES >> 20} MiB; is this a bundle?")
    try:
        text = data.decode()
        manifest = json.loads(text)
        content = {key: value for key, value in manifest.items() if key != "checksum"}
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
        written = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    except (ValueError, AttributeError, RecursionError) as problem:
        raise BundleProblem(f"{where} cannot be read ({str(problem)[:100]}); is this a bundle?") from None
    if content.get("schema") != SCHEMA:
        raise BundleProblem(f"{where} is of schema {str(content.get('schema'))[:40]!r}, and {SCHEMA} is read")
    expected = "sha256:" + hashlib.sha256(canonical).hexdigest()
    if manifest.get("checksum") != expected or written != text:
        raise BundleProblem(f"{where} was damaged or changed; build the bundle again")
    wrong = wrong_files(content.get("files"))
    if "\n" + "  " * NESTING_CAP in text:
        wrong = "is nested too deep"
    if wrong:
        raise BundleProblem(f"{where} {wrong}; build the bundle again")
    return content


def wrong_files(files: Any) -> str:
    """What is wrong with a manifest's list of files, "" where nothing is.

    Names are plain ones below the folder, none of which differs from another by its letters' case alone.
    """
    if not isinstance(files, dict) or not files:
        return "lists no files"
    if len(files) > FILES_CAP:
        return f"lists {len(files)} files, more than {FILES_CAP}"
    paths = [MANIFEST, *UNLISTED, *files, *{folder for name in files for folder in _folders(name)}]
    cases = [path.lower() for path in paths]
    for name, entry in files.items():
        if len(name) > NAME_CAP or not _NAME.match(name) or cases.count(name.lower()) > 1:
            return f"lists a file named {name[:NAME_CAP]!r}, which no bundle holds"
        if not _sound_entry(entry):
            return f"says no size and SHA-256 of {name}"
    if len(set(cases)) < len(cases):
        return "lists folders whose names differ in the case of letters alone"
    total = sum(entry["size"] for entry in files.values())
    return f"lists {total} bytes, more than {TOTAL_CAP_BYTES}" if total > TOTAL_CAP_BYTES else ""


def _folders(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _sound_entry(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and type(entry.get("size")) is int
        and entry["size"] >= 0
        and isinstance(entry.get("sha256"), str)
        and re.match(r"[0-9a-f]{64}\Z", entry["sha256"]) is not None
    )


def wrong_folder(folder: Path) -> tuple[str, str] | None:
    """What a path without a manifest is, and what to do; None where there is one."""
    if os.path.isfile(folder / MANIFEST):
        return None
    if os.path.isfile(folder / "bundle" / MANIFEST):
        return "is the folder of a run", f"name the bundle in it: {folder / 'bundle'}"
    if not os.path.exists(folder):
        return "does not exist", "name the folder of a bundle"
    packed = " (`onepath bundle unpack` makes one of a packed bundle)" if os.path.isfile(folder) else ""
    return "is no bundle: it has no manifest.json", f"name the folder of a bundle{packed}"


def check_file(folder: Path, name: str, entry: dict[str, Any]) -> None:
    """Compare one file with its entry in the manifest.

    Raises:
        BundleProblem: it is missing, no plain file inside the folder, or was changed.
    """
    path = folder / name
    inside = os.path.join(os.path.realpath(folder), os.path.normpath(name))
    # The whole path is compared: a linked folder leads out of the bundle as well as a linked file does.
    if Path(name).is_absolute() or not path.is_file() or os.path.realpath(path) != inside:
        raise BundleProblem(f"{path} is missing or no plain file of the bundle; build the bundle again")
    same_size = path.stat().st_size == entry["size"]
    if not same_size or hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"]:
        raise BundleProblem(f"{path} was damaged or changed; build the bundle again")


def check_machine(manifest: dict[str, Any]) -> None:
    """Refuse a machine whose processor lacks what the bundle's code uses, instead of an illegal instruction.

    Raises:
        BundleProblem: the architecture differs, or features are missing, which the message names; or the bundle's
            kernels run on a GPU.
    """
    target, gpu = manifest["target"], manifest.get("gpu")
    if gpu:
        raise BundleProblem(
            f"the bundle's kernels run on an NVIDIA GPU ({gpu['arch']}), and this runner computes on processors; "
            "load its model.so with apache-tvm on a machine that has one"
        )
    if target["machine"] != platform.machine():
        raise BundleProblem(
            f"the bundle is for {target['machine']}, and this machine is {platform.machine()}"
        )
    present = cpu_features()
    missing = [feature for feature in target["features"] if feature not in present]
    if present and missing:
        wanted = f"the bundle was built for {target['cpu']}; this processor lacks {', '.join(missing)}"
        raise BundleProblem(f"{wanted}; build it for this machine's target")


def cpu_features() -> frozenset[str]:
    """The processor's features as Linux names them; empty where Linux is not."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset()
    flags = [line.partition(":")[2] for line in lines if line.partition("\t")[0] in ("flags", "Features")]
    return frozenset(flags[0].split()) if flags else frozenset()


def placement(
    built: int, threads: int | None = None, cores: Sequence[int] | None = None
) -> tuple[int, tuple[int, ...]]:
    """The threads, and the processors they keep to, of a model built for `built` threads; no cores: wherever.

    Raises:
        BundleProblem: more threads than it was built for or than cores are given, or cores that there are not.
    """
    chosen = () if cores is None else _distinct(cores)
    count = (min(built, len(chosen)) if chosen else built) if threads is None else _whole("threads", threads)
    if count < 1:
        raise BundleProblem(f"{count} threads are asked for; give at least 1")
    if count > built:
        unit = "thread" if built == 1 else "threads"
        again = f"onepath build MODEL.onnx --threads {count}, or FILE.space --set target.threads={count}"
        raise BundleProblem(
            f"the bundle was built for {built} {unit}, and {count} are asked for; build it for as many ({again})"
        )
    if chosen and len(chosen) < count:
        raise BundleProblem(f"{count} threads on {len(chosen)} of the cores; name as many cores as threads")
    if chosen:
        _check_permitted(chosen)
    return count, chosen


def _whole(name: str, value: Any) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise BundleProblem(f"{name}: {value!r} is no whole number") from None


def _distinct(cores: Any) -> tuple[int, ...]:
    """The cores that were named: at least one, and none twice."""
    if isinstance(cores, str) or not hasattr(cores, "__iter__"):
        raise BundleProblem(f"cores: {cores!r} is no list of numbers; give some as in (0, 1)")
    chosen = tuple(_whole("cores", core) for core in cores)
    if not chosen:
        raise BundleProblem("an empty list of cores is given; name one or more, or leave the cores out")
    twice = [core for core in chosen if chosen.count(core) > 1]
    if twice:
        raise BundleProblem(f"core {twice[0]} is named twice; two threads would share it")
    return chosen


def _check_permitted(cores: tuple[int, ...]) -> None:
    if not hasattr(os, "sched_setaffinity"):
        raise BundleProblem("this system offers no pinning to cores; leave the cores out")
    permitted = os.sched_getaffinity(0)
    absent = sorted(set(cores) - permitted)
    if absent:
        allowed = ", ".join(map(str, sorted(permitted)))
        raise BundleProblem(f"core {absent[0]} is not among those this process may use: {allowed}")
