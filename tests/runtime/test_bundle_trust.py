"""Whose bundles run: those built here, those trusted by their digest, those signed with a listed key; no others."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from runtime.bundle import verify
from runtime.bundle_archive import pack, unpack
from runtime.bundle_keys import keys_path, listed_keys
from runtime.bundle_trust import list_path, note_built, remember, standing
from runtime.cli import app
from runtime.console import Silent
from runtime.files import FileProblem
from tests.runtime.light_bundle import light_bundle

needs_ssh = pytest.mark.skipif(
    shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed (Debian: openssh-client)"
)


@pytest.fixture(autouse=True)
def own_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return light_bundle(tmp_path / "place" / "bundle")


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_key(tmp_path_factory.mktemp("keys") / "ana")


def make_key(path: Path) -> Path:
    made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ana of there", "-f", str(path)]
    subprocess.run(made, check=True)
    return path


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["bundle", *map(str, arguments)])


def runs(bundle: Path, *options: str) -> bool:
    """Whether the bundle was run; where it was not, a message says why and nothing of it was loaded."""
    mark = bundle.parent / "ran"
    said = call("run", bundle, "x.npy", *options)
    if said.exit_code:
        assert (said.exit_code, said.stdout, mark.exists()) == (2, "", False), said.output
        return False
    assert said.stdout == "ran\n"
    mark.unlink()
    return True


def test_a_bundle_from_elsewhere_needs_to_be_trusted(bundle: Path) -> None:
    assert not runs(bundle)
    message = call("run", bundle, "x.npy").stderr
    for way_out in ("--trust", f"`onepath bundle trust {bundle}`", "`onepath bundle keys add NAME KEY.pub`"):
        assert way_out in message
    assert runs(bundle, "--trust")
    assert not runs(bundle), "once is once"
    assert call("trust", bundle).exit_code == 0
    assert runs(bundle)
    assert runs(unpack(pack(bundle), bundle.parent / "copy").folder), "wherever it lies"
    assert call("trust", bundle, "--remove").exit_code == 0
    assert not runs(bundle)


def test_it_is_not_measured_either(bundle: Path) -> None:
    said = CliRunner().invoke(app, ["bench", str(bundle)])
    assert (said.exit_code, "was not built here" in said.stderr) == (2, True)
    said = CliRunner().invoke(app, ["bench", str(bundle), "--trust"])
    assert "was not built here" not in said.output


def test_another_bundle_is_not_trusted_with_it(bundle: Path) -> None:
    call("trust", bundle)
    assert not runs(light_bundle(bundle.parent / "other", network="other"))
    light_bundle(bundle, labels=("ant", "bee", "cow"))
    assert not runs(bundle)


def test_a_bundle_built_here_runs(bundle: Path) -> None:
    note_built(verify(bundle), Silent())
    assert standing(verify(bundle)) == "built here"
    assert runs(bundle)
    assert json.loads(call("verify", bundle, "--format", "json").stdout)["why"] == "built here"


def test_a_list_that_cannot_be_used_trusts_nobody(bundle: Path) -> None:
    remember(verify(bundle), "trusted")
    whole = list_path().read_text()
    for text in (whole.replace('"trusted"', '"built"'), "{", whole[:-20]):
        list_path().write_text(text)
        assert not runs(bundle)
        assert runs(bundle, "--trust")
    notes: list[str] = []
    told = Silent()
    told.note = notes.append  # type: ignore[method-assign]
    note_built(verify(bundle), told)
    assert "--trust alone" in notes[0]


@needs_ssh
def test_a_listed_key_is_enough(bundle: Path, key: Path) -> None:
    assert call("sign", bundle, "--key", key).exit_code == 0
    assert "signed with a key that is not listed, SHA256:" in call("run", bundle, "x.npy").stderr
    said = call("keys", "add", "ana", f"{key}.pub")
    assert said.exit_code == 0
    shown = subprocess.run(
        ["ssh-keygen", "-l", "-f", f"{key}.pub"], capture_output=True, text=True, check=True
    )
    assert shown.stdout.split()[1] in said.stdout
    assert runs(bundle)
    assert "signed by ana" in call("verify", bundle).stdout
    copy = unpack(pack(bundle), bundle.parent / "copy").folder
    assert runs(copy), "the signature is packed with it"
    assert call("keys", "remove", "ana").exit_code == 0
    assert not runs(bundle)


@needs_ssh
def test_a_signature_is_of_one_manifest_and_of_a_bundle(bundle: Path, key: Path) -> None:
    call("keys", "add", "ana", f"{key}.pub")
    call("sign", bundle, "--key", key)
    other = light_bundle(bundle.parent / "other", network="other")
    shutil.copy(bundle / "manifest.json.sig", other)
    assert not runs(other)
    assert "is damaged, or of another manifest.json" in call("run", other, "x.npy").stderr
    # The same key over the same bytes, said to be of a file: a signature made for another purpose.
    manifest = bundle / "manifest.json"
    (bundle / "manifest.json.sig").unlink()
    subprocess.run(
        ["ssh-keygen", "-q", "-Y", "sign", "-n", "file", "-f", str(key), str(manifest)], check=True
    )
    assert not runs(bundle)


@needs_ssh
def test_another_key_is_not_enough(bundle: Path, key: Path, tmp_path: Path) -> None:
    call("keys", "add", "ana", f"{key}.pub")
    call("sign", bundle, "--key", make_key(tmp_path / "bob"))
    assert not runs(bundle)


@needs_ssh
def test_changed_signatures_are_not_enough(bundle: Path, key: Path) -> None:
    call("keys", "add", "ana", f"{key}.pub")
    call("sign", bundle, "--key", key)
    file = bundle / "manifest.json.sig"
    whole = file.read_bytes()
    for at in range(60, len(whole) - 40, 25):
        file.write_bytes(whole[:at] + (b"A" if whole[at : at + 1] != b"A" else b"B") + whole[at + 1 :])
        assert not standing(verify(bundle))
    for text in (b"", b"\0" * 100, whole[: len(whole) // 2]):
        file.write_bytes(text)
        assert not standing(verify(bundle))
    file.write_bytes(whole)
    assert standing(verify(bundle)) == "signed by ana"


@needs_ssh
def test_what_is_no_key_is_said(bundle: Path, key: Path, tmp_path: Path) -> None:
    call("keys", "add", "ana", f"{key}.pub")
    line = Path(f"{key}.pub").read_text()
    (tmp_path / "two.pub").write_text(line + line)
    (tmp_path / "odd.pub").write_text(line.replace("ssh-ed25519", "ssh-rsa"))
    (tmp_path / "more.pub").write_text("cert-authority " + line)
    for arguments, message in (
        (("add", "bob", key), "is no public key of SSH"),
        (("add", "bob", tmp_path / "two.pub"), "is no public key of SSH"),
        (("add", "bob", tmp_path / "odd.pub"), "is a damaged public key"),
        (("add", "bob", tmp_path / "more.pub"), "is no public key of SSH"),
        (("add", "bob", tmp_path / "none.pub"), "does not exist"),
        (("add", "bob", f"{key}.pub"), "ana is listed already"),
        (("add", "a*", f"{key}.pub"), "is no name for a key"),
        (("add", "a b", f"{key}.pub"), "is no name for a key"),
        (("remove", "bob"), "name one of those: ana"),
    ):
        said = call("keys", *arguments)
        assert (said.exit_code, message in said.stderr) == (2, True), said.output
    assert [each.name for each in listed_keys()] == ["ana"]
    assert "ana ssh-ed25519 SHA256:" in call("keys", "list").stdout
    said = call("sign", bundle, "--key", bundle / "model.so")
    assert (said.exit_code, "cannot sign" in said.stderr) == (2, True)
    keys_path().write_text(f"* {line}")
    with pytest.raises(FileProblem, match="line 1 is no key"):
        standing(verify(bundle)) or listed_keys()


def test_without_ssh_keygen_a_signature_says_what_to_install(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (bundle / "manifest.json.sig").write_text("a signature")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "openssh-client" in call("run", bundle, "x.npy").stderr
    assert runs(bundle, "--trust")
