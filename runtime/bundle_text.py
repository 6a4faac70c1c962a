"""A bundle or standalone network as a text for people: what it is for, takes and gives, where it is from, its files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from compiler.architecture import shown
from dsl.suggest import counted
from runtime.bundle import Bundle, Manifest, Tensor, as_manifest
from runtime.bundle_runner.manifest import MANIFEST
from runtime.standalone_folder import Standalone
from runtime.text_table import field_lines, table_lines

LABELS_SHOWN = 10


def bundle_lines(bundle: Bundle) -> Iterator[str]:
    """All that `onepath bundle inspect` prints; nothing of it can steer a terminal."""
    more = {"measured": bundle.benchmark or "nothing", "digest": bundle.digest}
    yield from _lines({**_rows(bundle.manifest), **more}, bundle.manifest)


def standalone_lines(found: Standalone) -> Iterator[str]:
    """The same of a standalone network.

    Raises:
        FileProblem: its manifest lacks a field.
    """
    manifest = as_manifest(found.manifest, found.folder / MANIFEST)
    more = {key: found.manifest[key] for key in ("name", "sizes") if key in found.manifest}
    yield from _lines({**_rows(manifest), **more, "digest": found.digest}, manifest)


def _rows(manifest: Manifest) -> dict[str, Any]:
    return {
        "network": manifest.network,
        "target": _target(manifest),
        "needs": [manifest.target.machine, *manifest.target.features],
        **({"gpu": manifest.gpu} if manifest.gpu else {}),
        "input": _tensor(manifest.input),
        "output": f"{_tensor(manifest.output)}; {manifest.output_kind}",
        "labels": _labels(manifest.labels),
        "preprocessing": manifest.preprocessing or "none",
        "architecture": manifest.architecture.get("choices") or "no decisions",
        "provenance": manifest.provenance or "unknown",
        "versions": manifest.versions,
        "check": manifest.numerical_check or "none",
        "predicted": manifest.benchmark or "nothing",
    }


def _lines(rows: Mapping[str, Any], manifest: Manifest) -> Iterator[str]:
    yield from field_lines(rows, _value, shown)
    entries = sorted(manifest.files.items())
    yield f"{counted(len(entries), 'file')}, {sum(entry.size for _, entry in entries):,} bytes"
    yield from table_lines(
        ("file", "bytes", "SHA-256"),
        [(name, f"{e.size:,}", e.sha256[:16] + "…") for name, e in entries],
        texts=(0, 2),
    )


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(shown(str(each)) for each in value) or "none"
    return shown(f"{value:.4g}" if isinstance(value, float) else str(value))


def _target(manifest: Manifest) -> str:
    target = asdict(manifest.target)
    return f"{target['name']}: {target['cpu']}, {target['triple']}, {counted(target['threads'], 'thread')}"


def _tensor(tensor: Tensor) -> str:
    return f"{tensor.dtype} {'x'.join(map(str, tensor.shape))}, {tensor.layout}"


def _labels(labels: tuple[str, ...]) -> str:
    more = f", … ({len(labels)})" if len(labels) > LABELS_SHOWN else ""
    return ", ".join(labels[:LABELS_SHOWN]) + more or "none"
