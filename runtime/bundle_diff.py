"""What differs between two bundles: fields of their manifests, and files by their hashes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from compiler.architecture import shown
from runtime.bundle import Bundle

Differences = dict[str, dict[str, Any]]
"""By the field's path (`target.cpu`, `files.model.so`) its value in each: `a` and `b`, or one of them."""


def differences(one: Bundle, other: Bundle) -> Differences:
    """The fields in which two manifests differ; signatures and measurements are no part of that."""
    fields = {side: dict(_fields(asdict(bundle.manifest))) for side, bundle in (("a", one), ("b", other))}
    a, b = fields.values()
    return {
        path: {side: values[path] for side, values in fields.items() if path in values}
        for path in [*a, *[path for path in b if path not in a]]
        if (path in a, a.get(path)) != (path in b, b.get(path))
    }


def _fields(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        path = f"{above}{name}"
        if isinstance(value, dict) and value and above != "files.":
            yield from _fields(value, f"{path}.")
        else:
            yield path, value


def difference_lines(found: Differences) -> Iterator[str]:
    """A line for each: `-` where only the first has it, `+` where only the second has."""
    for path, sides in found.items():
        name = shown(path)
        if "b" not in sides:
            yield f"- {name}: {_value(sides['a'])}"
        elif "a" not in sides:
            yield f"+ {name}: {_value(sides['b'])}"
        else:
            yield f"  {name}: {_value(sides['a'])} -> {_value(sides['b'])}"


def _value(value: Any) -> str:
    if isinstance(value, dict) and value.keys() == {"sha256", "size"}:
        return f"{value['size']:,} bytes, SHA-256 {value['sha256'][:16]}…"
    return shown(", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)) or "nothing"
