"""A bundle as a text for people: what it is for, what it takes and gives, where it is from, what is in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from compiler.architecture import shown
from runtime.bundle import Bundle, Tensor
from runtime.text_table import field_lines, table_lines

LABELS_SHOWN = 10


def bundle_lines(bundle: Bundle) -> Iterator[str]:
    """All that `onepath bundle inspect` prints; nothing of it can steer a terminal."""
    manifest = bundle.manifest
    rows = {
        "network": manifest.network,
        "target": _target(bundle),
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
        "measured": bundle.benchmark or "nothing",
        "digest": bundle.digest,
    }
    yield from field_lines(rows, _value, shown)
    entries = sorted(manifest.files.items())
    yield f"{len(entries)} files, {bundle.size_bytes:,} bytes"
    yield from table_lines(
        ("file", "bytes", "SHA-256"),
        [(name, f"{e.size:,}", e.sha256[:16] + "…") for name, e in entries],
        texts=(0, 2),
    )


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(shown(str(each)) for each in value) or "none"
    return shown(f"{value:.4g}" if isinstance(value, float) else str(value))


def _target(bundle: Bundle) -> str:
    target = asdict(bundle.manifest.target)
    threads = "1 thread" if target["threads"] == 1 else f"{target['threads']} threads"
    return f"{target['name']}: {target['cpu']}, {target['triple']}, {threads}"


def _tensor(tensor: Tensor) -> str:
    return f"{tensor.dtype} {'x'.join(map(str, tensor.shape))}, {tensor.layout}"


def _labels(labels: tuple[str, ...]) -> str:
    more = f", … ({len(labels)})" if len(labels) > LABELS_SHOWN else ""
    return ", ".join(labels[:LABELS_SHOWN]) + more or "none"
