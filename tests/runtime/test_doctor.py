"""The doctor names what is missing and the way out, and survives what crashes."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runtime import doctor
from runtime.doctor import Finding, ProbeProblem, State, examine, healthy, to_json

TVM_FACTS = {"llvm": 22, "cpu": "znver5", "cpu_known": True, "load": 0.1, "steal": 0.0}


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    doctor.probe.cache_clear()
    yield
    doctor.probe.cache_clear()


def only(check: doctor.Check) -> Finding:
    (finding,) = check()
    return finding


def answering(monkeypatch: pytest.MonkeyPatch, facts: dict[str, Any] | Exception) -> None:
    def probe(what: str) -> dict[str, Any]:
        if isinstance(facts, Exception):
            raise facts
        return facts

    probe.cache_clear = lambda: None  # type: ignore[attr-defined]
    monkeypatch.setattr(doctor, "probe", probe)


@pytest.mark.tvm
@pytest.mark.torch
def test_this_machine_is_well() -> None:
    findings = examine()
    assert [finding.name for finding in findings if finding.state is State.FAIL] == []
    assert healthy(findings)
    assert {"Python", "C++ compiler", "TVM", "processor", "PyTorch", "memory", "disk", "cache"} <= {
        finding.name for finding in findings
    }
    assert to_json(findings)["findings"][0].keys() == {"name", "state", "found", "way_out"}


def test_what_builds_for_other_machines_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"aarch64-linux-gnu-gcc", "qemu-aarch64-static", "riscv64-linux-gnu-gcc"}
    monkeypatch.setattr(shutil, "which", lambda name: name if name in there else None)
    monkeypatch.setattr("runtime.doctor.has_zig", lambda: False)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert [str(finding) for finding in doctor._cross()] == [
        "ok    building for aarch64: aarch64-linux-gnu-gcc, checked by qemu-aarch64-static",
        "ok    building for armv7a: not possible: no compiler links for it; install one (apt-get install "
        "g++-arm-linux-gnueabihf), or without root `pip install 'onepath[cross]'`, which brings Zig's",
        "ok    building for riscv64: riscv64-linux-gnu-gcc, and nothing here runs its code; to check what is built, "
        "apt-get install qemu-user-static",
    ]


def test_a_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    finding = only(doctor._compiler)
    assert str(finding) == "fail  C++ compiler: none is found; install one (apt-get install g++)"
    assert not healthy([finding])


def test_a_compiler_that_cannot_link_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "false")
    assert "false links no shared library" in only(doctor._compiler).found


@pytest.mark.parametrize("bad", doctor.BAD_FFI)
def test_a_known_bad_pair_is_refused_without_being_loaded(monkeypatch: pytest.MonkeyPatch, bad: str) -> None:
    answering(monkeypatch, AssertionError("loaded"))
    monkeypatch.setattr(doctor, "_version", lambda name: bad if name.endswith("ffi") else "0.27.0.post1")
    finding = only(doctor._tvm)
    assert finding.state is State.FAIL
    assert "known to crash" in finding.found
    assert "constraints.txt" in finding.way_out


def test_a_crash_of_tvm_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(command: list[str], **settings: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, -11, "", "")

    monkeypatch.setattr(subprocess, "run", killed)
    assert "crashes (SIGSEGV)" in only(doctor._tvm).found


def test_a_failing_probe_tells_its_last_words() -> None:
    with pytest.raises(ProbeProblem, match="KeyError: 'nothing'"):
        doctor.probe("nothing")


def test_an_untested_release_an_unknown_processor_and_noise_are_warnings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answering(monkeypatch, {**TVM_FACTS, "cpu": "znver9", "cpu_known": False, "steal": 0.2})
    monkeypatch.setattr(doctor, "_version", lambda name: "0.28.0")
    findings = tuple(doctor._tvm())
    assert [finding.state for finding in findings] == [State.WARN] * 3
    assert "znver9, which LLVM does not know" in findings[1].found
    assert "20% stolen" in findings[2].found
    assert healthy(findings)


def test_missing_packages_say_how_to_install_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_version", lambda name: None)
    assert only(doctor._tvm).state is State.FAIL
    assert only(doctor._torch).way_out == "pip install -c constraints.txt torch"
    assert only(doctor._onnxruntime).state is State.WARN


def test_data_is_found_fetched_or_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    assert only(lambda: doctor._fashion_mnist(["cached"])).found == "it is cached"
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert only(lambda: doctor._fashion_mnist([])).state is State.WARN


def test_small_disks_and_folders_that_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    cache, records = doctor._user_folders()
    assert cache.state is State.FAIL
    assert "XDG_CACHE_HOME" in cache.way_out
    assert records.state is State.OK
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, int(2e9)))  # type: ignore[attr-defined]
    assert [finding.state for finding in doctor._disk()] == [State.WARN] * 2
