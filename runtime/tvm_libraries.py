"""TVM's two runtime libraries, which every bundle carries: this machine's from the installed packages, another
machine's from the same releases' packages for it, which pip fetches once."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from runtime.files import FileProblem, read_bytes, write_atomic
from runtime.user_folders import cache_folder

LIBRARIES = {"tvm_ffi": "libtvm_ffi.so", "tvm": "libtvm_runtime.so"}
"""The package each library lies in, under `lib/`."""
DISTRIBUTIONS = ("apache-tvm", "apache-tvm-ffi")
MACHINES = ("x86_64", "aarch64")
"""Machines that TVM's packages exist for, as pip, too, names them."""
_TAGS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_24", "manylinux_2_17", "manylinux2014")
_PYTHON = "311"
"""The libraries are the same for every Python; one of its versions must be named to pip."""
FETCH_S = 900.0


def runtime_files(machine: str) -> dict[str, bytes]:
    """The libraries and their licences by their names in a bundle.

    Raises:
        FileProblem: they are not installed, do not exist for that machine, or cannot be fetched.
    """
    if machine == platform.machine():
        return _installed()
    folder = fetched(machine)
    names = sorted(path.name for path in folder.iterdir())
    return {f"lib/{name}": read_bytes(folder / name) for name in names}


def runtime_library(package: str) -> Path:
    """Where an installed package keeps its runtime library; the package is not imported.

    Raises:
        FileProblem: the package is not installed.
    """
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise FileProblem(package, "is not installed", "install apache-tvm and apache-tvm-ffi")
    return Path(found.origin).parent / "lib" / LIBRARIES[package]


def link_runtime(folder: Path) -> None:
    """Links to TVM's installed runtime libraries where a bundle in this folder has its own.

    Raises:
        FileProblem: they are not installed.
    """
    (folder / "lib").mkdir()
    for package, library in LIBRARIES.items():
        (folder / "lib" / library).symlink_to(runtime_library(package))


def _installed() -> dict[str, bytes]:
    found = {}
    for package, library in LIBRARIES.items():
        found[f"lib/{library}"] = read_bytes(
            runtime_library(package), "install apache-tvm and apache-tvm-ffi"
        )
    for name in DISTRIBUTIONS:
        distribution = importlib.metadata.distribution(name)
        for file in distribution.files or ():
            if _is_licence(file.parts):
                found[f"lib/{file.name}-{name}"] = read_bytes(Path(str(distribution.locate_file(file))))
    return found


def _is_licence(parts: tuple[str, ...]) -> bool:
    return "licenses" in parts


def fetched(machine: str) -> Path:
    """The folder with another machine's libraries and licences, of the releases installed here.

    Raises:
        FileProblem: TVM has no package for it, or pip cannot fetch it; the message is pip's.
    """
    releases = _releases()
    if machine not in MACHINES:
        raise FileProblem(
            f"TVM's runtime for {machine}",
            "does not exist as a package",
            "bundles can be built for " + " and ".join(MACHINES),
        )
    folder = _place(machine, releases)
    if not is_kept(machine):
        _fetch(machine, releases, folder)
    return folder


def is_kept(machine: str) -> bool:
    """Whether another machine's libraries, of the releases installed here, were fetched before."""
    folder = _place(machine, _releases())
    return all((folder / library).is_file() for library in LIBRARIES.values())


def _releases() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in DISTRIBUTIONS}


def _place(machine: str, releases: Mapping[str, str]) -> Path:
    return cache_folder() / "tvm_runtime" / f"{machine}-{'-'.join(releases.values())}"


def _fetch(machine: str, releases: Mapping[str, str], folder: Path) -> None:
    with TemporaryDirectory(prefix="onepath-") as scratch:
        tags = [f"--platform={tag}_{machine}" for tag in _TAGS]
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        command += [*tags, f"--python-version={_PYTHON}", f"--dest={scratch}"]
        command += [f"{name}=={release}" for name, release in releases.items()]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=FETCH_S)
        except subprocess.TimeoutExpired:
            raise _cannot_fetch(machine, f"pip took longer than {FETCH_S:g} s") from None
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["it does not say why"]
            raise _cannot_fetch(machine, lines[-1])
        for name, release in releases.items():
            wheel = next(Path(scratch).glob(f"{name.replace('-', '_')}-{release}-*.whl"), None)
            if wheel is None:
                raise _cannot_fetch(machine, f"pip fetched no wheel of {name}")
            _extract(wheel, name, folder)


def _extract(wheel: Path, distribution: str, folder: Path) -> None:
    """Write a wheel's library and licences; the library last, so that a folder which has it has the others."""
    with zipfile.ZipFile(wheel) as archive:
        members = {Path(name): name for name in archive.namelist() if not name.endswith("/")}
        licences = [path for path in members if ".dist-info" in path.parts[0] and _is_licence(path.parts)]
        library = next(path for path in members if path.name in LIBRARIES.values())
        for path in licences:
            write_atomic(folder / f"{path.name}-{distribution}", archive.read(members[path]))
        write_atomic(folder / library.name, archive.read(members[library]))


def _cannot_fetch(machine: str, reason: str) -> FileProblem:
    return FileProblem(
        f"TVM's runtime for {machine}",
        f"cannot be fetched ({reason})",
        "let pip reach an index with apache-tvm's wheels, once; they are kept",
    )
