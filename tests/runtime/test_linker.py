"""Which compilers are taken for this machine: those that `CXX` and `CC` say, unless they compile nothing for it."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime import doctor
from runtime.device import host
from runtime.linker import link_for, own_c_compiler, own_compiler


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
    for variable in ("CC", "CXX"):
        monkeypatch.delenv(variable, raising=False)
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
@pytest.mark.parametrize(("variable", "found"), [("CC", own_c_compiler), ("CXX", own_compiler)])
def test_what_is_named_is_taken_where_it_fits(
    variable: str,
    found: Callable[[], tuple[str, ...] | None],
    said: str,
    taken: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(variable, said)
    assert found() == taken
    refused = bool(said) and taken == ("gcc",)
    assert [str(finding) for finding in doctor._named_compilers()] == refused * [
        f"warn  {variable}: `{said}` compiles nothing for this machine; gcc is taken; unset {variable}"
    ]


def test_without_any_there_is_none(bin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (bin_folder / "gcc").unlink()
    monkeypatch.setenv("CC", "other-gcc")
    assert own_c_compiler() is None
    assert link_for(host()) is None


@pytest.mark.skipif(shutil.which("env") is None, reason="there is no env")
@pytest.mark.parametrize("said", ["none-gcc", "env g++"])
def test_a_library_is_linked_by_what_fits(said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if own_compiler() is None or shutil.which("g++") is None:
        pytest.skip("there is no g++")
    monkeypatch.setenv("CXX", said)
    (tmp_path / "empty.c").touch()
    share = link_for(host())
    assert share is not None
    share(str(tmp_path / "empty.so"), [str(tmp_path / "empty.c")])
    assert (tmp_path / "empty.so").read_bytes().startswith(b"\x7fELF")
