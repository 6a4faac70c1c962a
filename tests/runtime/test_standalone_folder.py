"""A standalone network's folder: compared with its manifest, shown, told from a bundle, never written over blindly."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runtime.build_folder import refuse_inside_bundle
from runtime.bundle import BundleTarget, Manifest, Tensor, write_folder
from runtime.bundle_archive import unpack
from runtime.cli import app
from runtime.files import FileProblem
from runtime.standalone_folder import SCHEMA, refuse_other, verify_standalone

FILES = {"net.c": b"int net;\n", "net.h": b"\n", "weights.bin": bytes(64)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    target = BundleTarget("host", "cpu", "triple", "machine")
    manifest = Manifest("small", target, Tensor((1, 3, 8, 8), "NCHW"), Tensor((1, 5), "NC"), (), {})
    sizes = {"flash_bytes": 1064, "ram_bytes": None}
    write_folder(tmp_path / "standalone", FILES, {**asdict(manifest), "name": "net", "sizes": sizes}, SCHEMA)
    return tmp_path / "standalone"


def call(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["bundle", *arguments])
    return done.exit_code, done.stdout, " ".join(done.stderr.split())


def test_verify_compares_its_files(folder: Path) -> None:
    digest = verify_standalone(folder).digest
    (folder / "net.o").write_bytes(b"built of it")
    code, text, _ = call("verify", str(folder))
    assert (code, f"3 files are as its manifest says, {digest}" in text) == (0, True)
    code, text, _ = call("verify", str(folder), "--format", "json")
    assert json.loads(text) == {"standalone": str(folder), "files": 3, "digest": digest}


@pytest.mark.parametrize("name", FILES)
def test_verify_names_what_was_changed(folder: Path, name: str) -> None:
    data = bytearray(FILES[name])
    data[-1] ^= 1
    (folder / name).write_bytes(data)
    code, _, problem = call("verify", str(folder))
    said = f"was damaged or changed: {name}; delete the folder and build it again"
    assert (code, said in problem) == (2, True), problem
    (folder / name).unlink()
    with pytest.raises(FileProblem, match=name):
        verify_standalone(folder)


def test_a_damaged_manifest_is_still_a_standalone_network_s(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace("1064", "1065"))
    code, _, problem = call("verify", str(folder))
    way_out = "its checksum fails); delete the folder and build it again"
    assert (code, way_out in problem) == (2, True), problem
    with pytest.raises(FileProblem, match="delete the folder and build it again"):
        refuse_other(folder)


def test_inspect_shows_it(folder: Path) -> None:
    _, text, _ = call("inspect", str(folder))
    for shown in ("flash_bytes  1064", "float32 1x3x8x8, NCHW", "name           net", "3 files, 74 bytes"):
        assert shown in text
    _, text, _ = call("inspect", str(folder), "--format", "json")
    assert json.loads(text)["files"].keys() == FILES.keys()


@pytest.mark.parametrize("command", [["run", "x.npy"], ["pack"], ["trust"], ["diff", "other"]])
def test_what_takes_bundles_alone_says_so(folder: Path, command: list[str]) -> None:
    code, _, problem = call(command[0], str(folder), *command[1:])
    assert (code, "is a standalone network, no bundle" in problem) == (2, True), problem


def test_nothing_is_built_or_unpacked_into_it(folder: Path) -> None:
    with pytest.raises(FileProblem, match="is inside of the standalone network"):
        refuse_inside_bundle(folder / "more")
    packed = folder.parent / "packed.tar.gz"
    packed.touch()
    with pytest.raises(FileProblem, match="is no bundle"):
        unpack(packed, folder, force=True)


def test_what_a_user_wrote_is_not_replaced(folder: Path) -> None:
    for product in ("net.o", "libnet.a", "example"):
        (folder / product).touch()
    (folder / "build").mkdir()
    (folder / "build" / "CMakeCache.txt").touch()
    refuse_other(folder)
    (folder / "inputs.f32").touch()
    (folder / "net.c").write_text("mine")
    with pytest.raises(FileProblem, match=r"holds inputs.f32, net.c, which no build wrote so"):
        refuse_other(folder)
    with pytest.raises(FileProblem, match="is no standalone network"):
        refuse_other(folder.parent)
    refuse_other(folder / "absent")
