"""Fashion-MNIST (Xiao, Rasul, Vollgraf 2017): 60,000 + 10,000 grey images of 28x28, MIT licence.

Looked for where Debian's package `dataset-fashion-mnist` puts it, then in the cache; else fetched: the
package without being installed, then the files from their authors. Whatever is found, its content is
checked against the known one.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pooch
from filelock import FileLock

from runtime.data.cache import cache_folder
from runtime.data.dataset import DataProblem, Labelled, Raw
from runtime.files import write_atomic

INSTALLED = Path("/usr/share/datasets/fashion-mnist")
APT_LISTS = Path("/var/lib/apt/lists")
PACKAGE = "dataset-fashion-mnist"
SITES = (
    "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
)
CLASSES = (
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
CONTENT = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
"""SHA-256 of each file's content, unpacked (packages compress it in their own way)."""
DOWNLOADS = {
    "train-images-idx3-ubyte": "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte": "md5:25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte": "md5:bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte": "md5:bb300cfdad3c16e7a12a480ee83cd310",
}
"""The authors' checksums of the compressed files, from their README."""
FETCH_LIMIT_S = 180

Fetch = Callable[[Path], None]
"""Puts the four `.gz` files into a folder, or raises `DataProblem`."""


def from_debian(folder: Path) -> None:
    """Download the Debian package and unpack it, which needs no root.

    Root in a fresh container, where apt has no lists yet, fetches those first.
    """
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise DataProblem("there is no apt-get", "use a Debian or Ubuntu system")
    try:
        _run(["apt-get", "download", PACKAGE], folder)
    except DataProblem:
        if os.geteuid() != 0 or any(APT_LISTS.glob("*Packages*")):
            raise
        _run(["apt-get", "update"], folder)
        _run(["apt-get", "download", PACKAGE], folder)
    (package,) = folder.glob("*.deb")
    _run(["dpkg-deb", "-x", str(package), str(folder / "unpacked")], folder)
    for name in CONTENT:
        place = folder / "unpacked" / INSTALLED.relative_to("/") / f"{name}.gz"
        place.rename(folder / f"{name}.gz")


def _run(command: list[str], folder: Path) -> None:
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=FETCH_LIMIT_S)
    except (subprocess.SubprocessError, OSError) as problem:
        said = getattr(problem, "stderr", b"") or b""
        reason = said.decode(errors="replace").strip().splitlines()[-1:] or [str(problem)]
        raise DataProblem(
            f"`{' '.join(command[:2])}` failed ({reason[0]})", "look at apt's sources"
        ) from None


def from_authors(folder: Path) -> None:
    """Download the four files from their authors."""
    for name, checksum in DOWNLOADS.items():
        _download(f"{name}.gz", checksum, folder)


def _download(file: str, checksum: str, folder: Path) -> None:
    reasons = []
    for site in SITES:
        downloader = pooch.HTTPDownloader(timeout=30)
        try:
            pooch.retrieve(site + file, checksum, fname=file, path=folder, downloader=downloader)
            return
        except Exception as problem:  # pooch lets through whatever its transport raises
            reasons.append(f"{site}: {type(problem).__name__}")
    raise DataProblem(f"{file} cannot be downloaded ({'; '.join(reasons)})", "look at the network")


FETCHES: tuple[Fetch, ...] = (from_debian, from_authors)


def load_fashion_mnist(
    path: Path | None = None, installed: Path = INSTALLED, fetches: Sequence[Fetch] = FETCHES
) -> Raw:
    """Fashion-MNIST from `path` if given, else from wherever it is found or fetched.

    Raises:
        DataProblem: it is nowhere and cannot be fetched, or its content is not the known one.
    """
    folder = path or (installed if _complete(installed) else _fetched(fetches))
    if not _complete(folder):
        way_out = f"it must hold {', '.join(f'{name}.gz' for name in CONTENT)}"
        raise DataProblem(f"{folder}: is not a folder of Fashion-MNIST", way_out)
    parts = {name: _content(folder, name) for name in CONTENT}
    train, test = (
        Labelled.of(_idx(parts[f"{part}-images-idx3-ubyte"]), _idx(parts[f"{part}-labels-idx1-ubyte"]))
        for part in ("train", "t10k")
    )
    return Raw("fashion_mnist", CLASSES, train, test)


def _complete(folder: Path) -> bool:
    return all((folder / f"{name}.gz").is_file() for name in CONTENT)


def _fetched(fetches: Sequence[Fetch]) -> Path:
    folder = cache_folder("fashion-mnist")
    with FileLock(folder / ".lock"):
        if _complete(folder):
            return folder
        reasons = []
        for fetch in fetches:
            try:
                _fetch_into(folder, fetch)
                return folder
            except DataProblem as problem:
                reasons.append(problem.what)
    way_out = f"install Debian's package {PACKAGE}, or put its four .gz files into {folder}"
    raise DataProblem(f"Fashion-MNIST is not here and cannot be fetched: {'; '.join(reasons)}", way_out)


def _fetch_into(folder: Path, fetch: Fetch) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        fetch(Path(scratch))
        for name in CONTENT:
            _content(Path(scratch), name)
            write_atomic(folder / f"{name}.gz", (Path(scratch) / f"{name}.gz").read_bytes())


def _content(folder: Path, name: str) -> bytes:
    path = folder / f"{name}.gz"
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as problem:
        raise DataProblem(f"{path}: is damaged ({problem})", "delete it, it will be fetched again") from None
    if hashlib.sha256(content).hexdigest() != CONTENT[name]:
        raise DataProblem(
            f"{path}: its content is not Fashion-MNIST's", "delete it, it will be fetched again"
        )
    return content


def _idx(content: bytes) -> np.ndarray[Any, Any]:
    """The array of an IDX file (yann.lecun.com/exdb/mnist): type, rank, sizes, then bytes."""
    rank = content[3]
    sizes = np.frombuffer(content, ">u4", rank, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(sizes)
