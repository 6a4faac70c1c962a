"""From a source, as the language names it, to a data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from runtime.data.cifar10 import load_cifar10
from runtime.data.dataset import DataProblem, Dataset, Raw, dataset_of
from runtime.data.digits import load_digits
from runtime.data.fashion_mnist import load_fashion_mnist
from runtime.data.image_folder import load_image_folder
from runtime.data.npz import load_npz
from runtime.data.python_entry import load_python

VALIDATION_SHARE = 0.2


@dataclass(frozen=True)
class DataSource:
    """`cifar10("path")`, `image_folder("path", size = 224)`, `fashion_mnist`: a kind and its arguments.

    The `entry` of a `python` source is looked for in `folder` first.
    """

    kind: str
    path: Path | None = None
    size: int | None = None
    channels: int | None = None
    entry: str | None = None
    folder: Path = Path(".")


def _fashion_mnist(source: DataSource) -> Raw:
    try:
        return load_fashion_mnist(source.path)
    except DataProblem as problem:
        if source.path is not None:
            raise
        note = f"using scikit-learn's digits, scaled to 28x28, instead of Fashion-MNIST: {problem}"
        return replace(load_digits(28), notes=(note,))


def _path(source: DataSource) -> Path:
    if source.path is None:
        raise DataProblem(f"`{source.kind}` needs a path", f'write `data = {source.kind}("PATH")`')
    return source.path.expanduser()


def _image_folder(source: DataSource) -> Raw:
    path = _path(source)
    if source.size is None:
        raise DataProblem("`image_folder` needs a size", f'write `image_folder("{path}", size = 224)`')
    return load_image_folder(path, source.size, source.channels or 3)


def _python(source: DataSource) -> Raw:
    if source.entry is None:
        raise DataProblem("`python` needs an entry", 'write `data = python("module:function")`')
    return load_python(source.entry, source.folder, source.path)


SOURCES: Mapping[str, Callable[[DataSource], Raw]] = {
    "fashion_mnist": _fashion_mnist,
    "cifar10": lambda source: load_cifar10(_path(source)),
    "image_folder": _image_folder,
    "npz": lambda source: load_npz(_path(source)),
    "python": _python,
    "digits": lambda source: load_digits(source.size or 8),
}
"""Every source, by its name in the language."""


def load(source: DataSource, validation: float = VALIDATION_SHARE, seed: int = 0) -> Dataset:
    """The data set of a source, a share of its training images held out for validation by `seed`.

    `notes` of the result are for the user: where another source had to stand in, they say so.

    Raises:
        DataProblem: the source is unknown, missing, damaged or cannot be split.
    """
    if source.kind not in SOURCES:
        raise DataProblem(f"there is no data source `{source.kind}`", f"use one of {', '.join(SOURCES)}")
    if not 0 < validation < 1:
        raise DataProblem(f"a validation share of {validation}", "give one between 0 and 1")
    return dataset_of(SOURCES[source.kind](source), validation, seed)
