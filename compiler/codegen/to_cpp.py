"""The C++ runner of a bundle: one source file that needs a C++17 compiler and the bundle's own libraries.

What the manifest says is written into the source, so that the program reads no JSON, and can tell its own
bundle's code from another's.
"""

from __future__ import annotations

from dataclasses import dataclass

from compiler.codegen.rendering import render

FOLDER = "cpp"
"""Where the sources lie in a bundle."""


@dataclass(frozen=True)
class PixelRule:
    """How pixels of 0 to 255 become inputs: `(pixel * scale - mean) / deviation`, a mean and deviation a channel."""

    scale: float
    mean: tuple[float, ...]
    deviation: tuple[float, ...]


@dataclass(frozen=True)
class CodeFile:
    """A file that the program loads, by its name in the bundle, and what it must be."""

    name: str
    sha256: str
    size: int


@dataclass(frozen=True)
class CppRunner:
    """What the templates are given.

    Shapes are with the batch, which is 1; `output_kind` is the manifest's; without `pixels` the network takes
    no images; `features` are the processor's, as Linux names them; `files` are in the order they are compared in.
    """

    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    output_kind: str
    pixels: PixelRule | None
    labels: tuple[str, ...]
    machine: str
    processor: str
    features: tuple[str, ...]
    threads: int
    files: tuple[CodeFile, ...]


def to_cpp(runner: CppRunner) -> dict[str, str]:
    """The sources by their names in the bundle: the program and its CMake file; the same bytes for the same runner.

    Raises:
        ValueError: the pixels' rule has another number of channels than the input, or the batch is not 1.
    """
    if runner.input_shape[0] != 1:
        raise ValueError(f"the batch of {runner.input_shape} is not 1")
    rule = runner.pixels
    if rule and not len(rule.mean) == len(rule.deviation) == runner.input_shape[1]:
        raise ValueError(f"{rule} is not for inputs of {runner.input_shape}")
    return {f"{FOLDER}/{name}": render(f"cpp/{name}.j2", runner) for name in ("runner.cpp", "CMakeLists.txt")}
