"""What to name instead, where `onepath bench` was given neither a space nor a bundle."""

from __future__ import annotations

from pathlib import Path

NAMED = 3
"""Bundles that a message names."""


def no_bundle(folder: Path) -> str:
    """What is wrong with a folder that holds no bundle, and where there are some."""
    if _is_part(folder):
        return _part(folder)
    missing = f"{folder} is no bundle: it has no manifest.json, nor has {folder / 'bundle'}"
    below = sorted(each.parent for each in folder.glob("*/bundle/manifest.json"))
    if below:
        return f"{missing}; name one of {', '.join(map(str, below[:NAMED]))}{', …' if below[NAMED:] else ''}"
    return f"{missing}; `onepath build` makes one of a .space file or of a .onnx file"


def misnamed(file: Path) -> str:
    """What to do with a model that another program exported, or a part of a bundle; "" of any other file."""
    if file.suffix.lower() == ".onnx":
        beside = file.parent / "bundle"
        if beside.is_dir():
            return f"{file} is a model: name the bundle that stands beside it, {beside}"
        build, bench = f"onepath build {file}", f"onepath bench runs/{file.stem}"
        return f"{file} is a model, and bundles are timed: first `{build}`, then `{bench}`"
    return _part(file) if file.is_file() and _is_part(file) else ""


def _is_part(path: Path) -> bool:
    return (path.parent / "manifest.json").is_file()


def _part(path: Path) -> str:
    return f"{path} is a part of a bundle: name the folder, {path.parent}"
