"""The C++ runner that a bundle carries, made from its manifest and the files that the program loads."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from compiler.codegen.to_cpp import CodeFile, CppRunner, PixelRule, to_cpp

if TYPE_CHECKING:
    from runtime.bundle import Manifest


def cpp_files(manifest: Manifest, contents: Mapping[str, bytes]) -> dict[str, bytes]:
    """The sources by their names in the bundle whose other `contents` are given.

    Raises:
        ValueError: the manifest's preprocessing is not for its input.
    """
    code = sorted(name for name in contents if name.endswith(".so"))
    target = manifest.target
    runner = CppRunner(
        manifest.input.shape,
        manifest.output.shape,
        manifest.output_kind,
        _pixel_rule(manifest.preprocessing, manifest.input.shape),
        manifest.labels,
        target.machine,
        target.cpu,
        target.features,
        target.threads,
        tuple(_code_file(name, contents[name]) for name in code),
    )
    return {name: text.encode() for name, text in to_cpp(runner).items()}


def _code_file(name: str, content: bytes) -> CodeFile:
    return CodeFile(name, hashlib.sha256(content).hexdigest(), len(content))


def _pixel_rule(preprocessing: Mapping[str, Any], shape: tuple[int, ...]) -> PixelRule | None:
    """The rule a channel; a single mean or deviation is that of every channel, as in numpy."""
    if not preprocessing or len(shape) != 4:
        return None
    given = ([float(value) for value in preprocessing[key]] for key in ("mean", "std"))
    mean, deviation = (tuple(values * shape[1] if len(values) == 1 else values) for values in given)
    return PixelRule(float(preprocessing["scale"]), mean, deviation)
