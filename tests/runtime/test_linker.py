"""Which C compiler is taken for this machine: the one that `CC` says, unless it compiles nothing for it."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from runtime import doctor
from runtime.linker import own_c_compiler, refused_cc


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one folder that programs are found in: a gcc for this machine, one for another, and what calls a compiler."""
    for name, said in (
        ("gcc", f"echo {platform.machine()}-linux-gnu"),
        ("other-gcc", "echo other-linux-gnu"),
        ("odd", "exit 1"),
        ("ccache", 'exec "$@"'),
    ):
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{said}\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("bin_folder")
@pytest.mark.parametrize(
    ("said", "taken"),
    [
        ("", ("gcc",)),
        ("ccache gcc", ("ccache", "gcc")),
        ("gcc -m64", ("gcc", "-m64")),
        ("odd", ("odd",)),
        ("other-gcc", ("gcc",)),
        ("ccache other-gcc", ("gcc",)),
        ("none", ("gcc",)),
        ("gcc '", ("gcc",)),
    ],
)
def test_cc(said: str, taken: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", said)
    assert own_c_compiler() == taken
    refused = bool(said) and taken == ("gcc",)
    assert refused_cc() == (said if refused else None)
    assert [str(finding) for finding in doctor._cc()] == refused * [
        f"warn  CC: {said} compiles nothing for this machine; gcc is taken for this machine's C; unset CC"
    ]


def test_without_any_there_is_none(bin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (bin_folder / "gcc").unlink()
    monkeypatch.setenv("CC", "other-gcc")
    assert own_c_compiler() is None
