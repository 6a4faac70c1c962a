"""The bundle: a folder with the compiled model, the runtime it needs, a runner, and a manifest of it all.

    model.so         the kernels and weights, as TVM's virtual machine runs them
    manifest.json    what it is, what it needs, and the SHA-256 and size of every other file but the last two
    runner.py        runs it with Python and numpy alone
    cpp/             runs it without Python: one source file, and how CMake builds it; not for GPUs
    lib/             TVM's two runtime libraries, with their licences
    manifest.json.sig, benchmark.json    where there are some: a signature of the manifest, and what was measured

The folder is written beside its place and renamed, so that it is whole or absent. Its `model.so` is code:
nothing of a bundle is loaded before every file was compared with the manifest.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from runtime.bundle_cpp import cpp_files
from runtime.bundle_measured import BENCHMARK, parse_measured
from runtime.bundle_runner import manifest as checks
from runtime.bundle_runner.manifest import SCHEMA
from runtime.bundle_runner.source import runner_source
from runtime.files import FileProblem, read_bytes, write_atomic, write_json
from runtime.standalone_folder import refuse_standalone
from runtime.tvm_libraries import DISTRIBUTIONS, runtime_files

NetworkOutput = Literal["logits", "probabilities", "values"]
"""What the output is: scores of classes before and after softmax, or anything else."""


@dataclass(frozen=True)
class FileEntry:
    """One file of a bundle."""

    sha256: str
    size: int


@dataclass(frozen=True)
class BundleTarget:
    """What the code was generated for. `features` are processor flags as Linux names them, all needed."""

    name: str
    cpu: str
    triple: str
    machine: str
    threads: int = 1
    features: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tensor:
    """An input or output: its shape, batch included, and its layout, such as `NCHW`."""

    shape: tuple[int, ...]
    layout: str
    dtype: str = "float32"


@dataclass(frozen=True)
class Manifest:
    """What a bundle says of itself.

    `output_kind` says how its runner shows the output; `preprocessing` is that of the data set (`scale`,
    `mean`, `std` a channel); `gpu` the `kind`, `arch` and `kernels` of code for one; `architecture` the architecture
    file; `provenance` hashes, seeds and revisions; `benchmark` the latency that the table predicts;
    `numerical_check` the largest relative error against the reference, and on how many images, or why there was none.
    """

    network: str
    target: BundleTarget
    input: Tensor
    output: Tensor
    labels: tuple[str, ...]
    preprocessing: dict[str, Any]
    output_kind: NetworkOutput = "values"
    gpu: dict[str, Any] = field(default_factory=dict)
    architecture: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    benchmark: dict[str, Any] = field(default_factory=dict)
    numerical_check: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    files: dict[str, FileEntry] = field(default_factory=dict)

    @property
    def checked(self) -> dict[str, Any]:
        """What a build says of the numerical check: the error against the reference, or why there was none."""
        said = ("reference", "by", "max_relative_error", "reason")
        return {name: self.numerical_check[name] for name in said if name in self.numerical_check}


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk, every file of which was compared with its manifest, and what else lies in it.

    `unlisted` holds the signature and the measurement by name, `benchmark` what the latter says. The folder of a
    packed bundle is its file.
    """

    folder: Path
    manifest: Manifest
    manifest_bytes: bytes = field(repr=False)
    unlisted: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """The SHA-256 of its manifest, which holds those of its files: it stands for all of the bundle."""
        return hashlib.sha256(self.manifest_bytes).hexdigest()

    @property
    def benchmark(self) -> Mapping[str, Any]:
        """What was measured of it where it was built; empty where nothing was.

        Raises:
            FileProblem: that was damaged, or is of another bundle.
        """
        data = self.unlisted.get(BENCHMARK)
        return {} if data is None else parse_measured(data, self.digest, self.folder / BENCHMARK)

    @property
    def size_bytes(self) -> int:
        """The size of all its files but the manifest."""
        return sum(entry.size for entry in self.manifest.files.values())


def write_bundle(folder: Path, model: Path, manifest: Manifest) -> Bundle:
    """Write a bundle of the compiled `model`; `files` and missing `versions` are filled in.

    The same model and manifest give the same bytes. An older bundle in `folder` is replaced, or stays as
    it was when something cannot be written.

    Raises:
        FileProblem: the model or TVM's runtime libraries are missing, or the place cannot be written.
    """
    contents = {"model.so": read_bytes(model), "runner.py": runner_source().encode()}
    contents |= runtime_files(manifest.target.machine)
    if not manifest.gpu:
        contents |= cpp_files(manifest, contents)
    payload = {**asdict(manifest), "versions": {**versions(), **manifest.versions}}
    write_folder(folder, contents, payload, SCHEMA)
    return verify(folder)


def write_folder(
    folder: Path, contents: Mapping[str, bytes], payload: Mapping[str, Any], schema: str
) -> None:
    """Write files by name and their manifest, `payload` with each file's SHA-256 and size, in place of `folder`.

    It is whole or absent: what is there now stays as it was when something cannot be written.

    Raises:
        FileProblem: the place cannot be written.
    """
    files = {
        name: asdict(FileEntry(hashlib.sha256(data).hexdigest(), len(data)))
        for name, data in sorted(contents.items())
    }
    made = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(made, ignore_errors=True)
    try:
        for name, data in contents.items():
            write_file(made, name, data)
        write_json(made / "manifest.json", {**payload, "files": files}, schema)
        replace_folder(made, folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def write_file(folder: Path, name: str, data: bytes) -> Path:
    """Write a file of a bundle; libraries may be executed.

    Raises:
        FileProblem: the place cannot be written.
    """
    return write_atomic(folder / name, data, 0o777 if name.endswith(".so") else 0o666)


def replace_folder(made: Path, folder: Path) -> None:
    """Put the bundle that was made beside `folder` in its place; what is there now stays where that fails.

    Raises:
        FileProblem: the place cannot be written.
    """
    old = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.old")
    try:
        if folder.exists():
            folder.rename(old)
        try:
            made.rename(folder)
        except OSError:
            with suppress(OSError):
                old.rename(folder)
            raise
    except OSError as problem:
        raise FileProblem(
            folder, f"cannot be written ({problem.strerror})", "choose another folder"
        ) from None
    shutil.rmtree(old, ignore_errors=True)


def versions() -> dict[str, str]:
    """The versions of what a bundle is made with."""
    return {name: importlib.metadata.version(name) for name in ("onepath", *DISTRIBUTIONS)}


def verify(folder: Path) -> Bundle:
    """The bundle in `folder`, its manifest read, every file compared and no other there; nothing is loaded.

    Raises:
        FileProblem: a file is missing, damaged, changed or a link, or the manifest is no manifest.
    """
    data, manifest = _read(folder)
    for name, entry in manifest.files.items():
        with _refused(folder, "do not use it"):
            checks.check_file(folder, name, asdict(entry))
    _refuse_strangers(folder, manifest)
    present = [name for name in checks.UNLISTED if (folder / name).is_file()]
    return checked(Bundle(folder, manifest, data, {name: read_bytes(folder / name) for name in present}))


def checked(bundle: Bundle) -> Bundle:
    """A bundle whose files were compared, if what lies beside them is what it should be.

    Raises:
        FileProblem: the measurement is damaged or of another bundle, or a file is too large.
    """
    for name, data in bundle.unlisted.items():
        if len(data) > checks.UNLISTED_CAP_BYTES:
            raise FileProblem(bundle.folder / name, "is too large", "take it away")
    _ = bundle.benchmark
    return bundle


def _refuse_strangers(folder: Path, manifest: Manifest) -> None:
    """Refuse what the manifest does not list: a library or module that lies beside another may be loaded with it.

    `__pycache__`, which Python makes where it imports `runner.py`, is let be: it is never read here.
    """
    expected = {checks.MANIFEST, *checks.UNLISTED, "__pycache__", *manifest.files}
    expected |= {str(parent) for name in manifest.files for parent in Path(name).parents}
    for place in (folder, *[folder / name for name in sorted(expected) if (folder / name).is_dir()]):
        for entry in () if place.name == "__pycache__" else place.iterdir():
            name = entry.relative_to(folder).as_posix()
            unlisted = name in checks.UNLISTED and (entry.is_symlink() or not entry.is_file())
            if name not in expected or unlisted:
                raise FileProblem(folder, f"holds {name!r}, which its manifest does not list", "take it away")


@contextmanager
def _refused(path: Path, way_out: str) -> Iterator[None]:
    """A problem of the bundle as one of a file."""
    try:
        yield
    except checks.BundleProblem as problem:
        raise FileProblem(path, str(problem), way_out) from None


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a bundle, its checksum and its fields checked, its files not.

    Raises:
        FileProblem: it is missing, damaged, of another version or a standalone network's, or lacks a field.
    """
    return _read(folder)[1]


def _read(folder: Path) -> tuple[bytes, Manifest]:
    wrong = checks.wrong_folder(folder)
    if wrong:
        raise FileProblem(folder, *wrong)
    refuse_standalone(folder)
    with _refused(folder, "name the folder of a bundle"):
        data = checks.manifest_bytes(folder)
    return data, parse_manifest(data, folder / checks.MANIFEST)


def parse_manifest(data: bytes, path: Path) -> Manifest:
    """The manifest in these bytes; `path` names it in messages.

    Raises:
        FileProblem: it is damaged, of another version, or lacks a field.
    """
    with _refused(path, "do not use it"):
        payload = checks.parse_manifest(data, checks.MANIFEST)
    manifest = as_manifest(payload, path)
    missing = {"model.so", "runner.py", "lib/libtvm_ffi.so", "lib/libtvm_runtime.so"} - manifest.files.keys()
    if missing:
        raise FileProblem(path, f"does not list {', '.join(sorted(missing))}", "build the bundle again")
    return manifest


def as_manifest(payload: Mapping[str, Any], path: Path) -> Manifest:
    """The fields of a manifest that was read from `path`; others than these are left out.

    Raises:
        FileProblem: one is missing, or of another type.
    """
    try:
        return msgspec.convert(payload, Manifest)
    except msgspec.ValidationError as problem:
        raise FileProblem(path, f"is no manifest ({problem})", "build it again") from None


def run_bundle(folder: Path, arguments: Sequence[str]) -> tuple[int, str, str]:
    """Run the bundle's own runner in a child process; its exit code, output and errors.

    A crash of the native code ends the child and comes back as exit code 2 with a message.

    Raises:
        FileProblem: the bundle is damaged, or not for this machine; nothing of it was loaded.
    """
    return run_verified(verify(folder), arguments)


def run_verified(bundle: Bundle, arguments: Sequence[str]) -> tuple[int, str, str]:
    """The same of a bundle that was verified.

    Raises:
        FileProblem: it is not for this machine; nothing of it was loaded.
    """
    with _refused(bundle.folder, "`onepath targets` lists what to build for"):
        checks.check_machine(asdict(bundle.manifest))
    command = [sys.executable, "-I", "-B", str(bundle.folder / "runner.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        return 2, done.stdout, f"{done.stderr}error: the bundle crashed with {name}; build it again\n"
    return done.returncode, done.stdout, done.stderr
