"""A bundle of a few kilobytes that no compiler made: its runner leaves a mark where it is run."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from runtime.benchmark import latency
from runtime.bundle import BundleTarget, Manifest, Tensor
from runtime.bundle_measured import write_measured
from runtime.bundle_runner.manifest import SCHEMA
from runtime.files import write_json

RUNNER = """
from pathlib import Path
(Path(__file__).resolve().parent.parent / "ran").touch()
print("ran")
"""


def contents() -> dict[str, bytes]:
    """The files of the bundle by name."""
    noise = np.random.default_rng(3).bytes
    return {
        "model.so": b"\x7fELF" + noise(900),
        "runner.py": RUNNER.encode(),
        "lib/libtvm_ffi.so": b"\x7fELF" + noise(300),
        "lib/libtvm_runtime.so": b"\x7fELF" + noise(700),
        "lib/LICENSE-apache-tvm": b"Apache License\n" * 20,
    }


def payload(given: dict[str, bytes], /, **changes: Any) -> dict[str, Any]:
    """The manifest of these files."""
    manifest = Manifest(
        "light",
        BundleTarget("host", "x86-64", "x86_64-linux-gnu", "x86_64"),
        Tensor((1, 2, 8, 8), "NCHW"),
        Tensor((1, 3), "NC"),
        ("ant", "bee", "cat"),
        {"scale": 0.5, "mean": [0.5, 0.5], "std": [0.25, 0.25]},
        "logits",
        versions={"onepath": "0.1.0"},
        provenance={"source_sha256": "00", "seeds": {"search": 1}},
    )
    entries = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        for name, data in sorted(given.items())
    }
    return {**asdict(manifest), "files": entries, **changes}


def light_bundle(folder: Path, **changes: Any) -> Path:
    """The bundle in `folder`, with a measurement; `changes` are other fields of its manifest."""
    files = contents()
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    write_json(folder / "manifest.json", payload(files, **changes), SCHEMA)
    digest = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    write_measured(folder, digest, 1, latency([1.0, 1.1, 1.2]))
    return folder


def tree(folder: Path) -> dict[str, bytes | None]:
    """All below a folder: the content of files, None for folders."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }
