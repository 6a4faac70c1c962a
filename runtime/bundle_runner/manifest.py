"""A bundle's manifest: every file compared with it, the machine, threads and cores that it can run on."""

from __future__ import annotations

import hashlib
import json
import operator
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SCHEMA = "onepath.bundle/1"


class BundleProblem(Exception):
    """A bundle or an input that cannot be used: what is wrong, and the way out."""


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a bundle, its own checksum and each file's size and SHA-256 compared.

    Raises:
        BundleProblem: a file is missing, damaged or changed, or the manifest is of another version.
    """
    wrong = wrong_folder(folder)
    if wrong:
        raise BundleProblem(f"{folder} {'; '.join(wrong)}")
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        content = {key: value for key, value in manifest.items() if key != "checksum"}
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    except (OSError, ValueError, AttributeError, RecursionError) as problem:
        raise BundleProblem(f"{folder}/manifest.json cannot be read ({problem}); is this a bundle?") from None
    if content.get("schema") != SCHEMA:
        raise BundleProblem(f"{folder} is of schema {content.get('schema')}, and this runner reads {SCHEMA}")
    if manifest.get("checksum") != "sha256:" + hashlib.sha256(canonical).hexdigest():
        raise BundleProblem(f"{folder}/manifest.json was damaged or changed; build the bundle again")
    try:
        for name, entry in content["files"].items():
            check_file(folder, name, entry)
    except (KeyError, TypeError, AttributeError):
        raise BundleProblem(f"{folder}/manifest.json lists no files; build the bundle again") from None
    return content


def wrong_folder(folder: Path) -> tuple[str, str] | None:
    """What a path without a manifest is, and what to do; None where there is one."""
    if os.path.isfile(folder / "manifest.json"):
        return None
    if os.path.isfile(folder / "bundle" / "manifest.json"):
        return "is the folder of a run", f"name the bundle in it: {folder / 'bundle'}"
    if not os.path.exists(folder):
        return "does not exist", "name the folder of a bundle"
    return "is no bundle: it has no manifest.json", "name the folder of a bundle"


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
    data = path.read_bytes()
    if len(data) != entry["size"] or hashlib.sha256(data).hexdigest() != entry["sha256"]:
        raise BundleProblem(f"{path} was damaged or changed; build the bundle again")


def check_machine(manifest: dict[str, Any]) -> None:
    """Refuse a machine whose processor lacks what the bundle's code uses, instead of an illegal instruction.

    Raises:
        BundleProblem: the architecture differs, or features are missing, which the message names.
    """
    target = manifest["target"]
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
