"""Targets against LLVM: what is known, what is refused and how, what this machine can measure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from compiler.target import Target
from dsl.known_targets import known_targets
from dsl.settings import TargetSettings
from runtime import device
from runtime.features import features_of, needed_flags
from runtime.linker import NoCompiler, compiler_for
from runtime.target_facts import facts_of, lines_of
from runtime.targets import UnsupportedTarget, cannot_run, check_bundle, here, resolve

pytestmark = pytest.mark.tvm

AARCH64 = TargetSettings("board", cpu="cortex-a76", triple="aarch64-unknown-linux-gnu")


@pytest.mark.parametrize("name", list(known_targets()))
def test_llvm_knows_every_known_target(name: str) -> None:
    known = known_targets()[name]
    target = resolve(known.settings)
    assert target.name == name
    assert Target.from_json(target.to_json()) == target
    facts = facts_of(known.settings, known.title)
    assert lines_of(facts)[0] == f"{name}: {known.title}"


@pytest.mark.parametrize(
    ("name", "bits", "registers"),
    [
        ("x86_64_v2", 128, 16),
        ("x86_64_v3", 256, 16),
        ("x86_64_v4", 512, 32),
        ("raspberry_pi_5", 128, 32),
        ("armv7", 128, 16),
        ("riscv64", 32, 32),
        ("riscv64_v", 128, 32),
        ("c", 32, 16),
    ],
)
def test_vectors_are_those_of_the_features(name: str, bits: int, registers: int) -> None:
    target = resolve(known_targets()[name].settings)
    assert (target.vector_bits, target.registers) == (bits, registers)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"cpu": "cortex-a67"}, "did you mean cortex-a7"),
        ({"cpu": "native"}, "`cpu` must be given for aarch64-unknown-linux-gnu"),
        ({"triple": "aarhc64-unknown-linux-gnu"}, "did you mean `aarch64`"),
        ({"triple": "foo-bar"}, "no code is generated for the triple `foo-bar`"),
        ({"triple": "aarch64"}, "is no triple"),
        ({"triple": "aarch64-apple-darwin"}, "is no triple of Linux"),
        ({"triple": "aarch64-unknwn-linux"}, "is no triple.*did you mean `aarch64-unknown-linux-gnu`"),
        ({"features": "+sve3"}, "LLVM knows no feature `sve3` .*did you mean `sve"),
        ({"features": "sve"}, "`sve` in `features` switches nothing"),
        ({"kind": "llvn"}, "did you mean `llvm`"),
        ({"kind": "cuda", "cpu": "native", "triple": None}, "the `arch` of its GPU is missing"),
        (
            {"kind": "cuda", "cpu": "native", "triple": None, "arch": "86"},
            '"86" is none; write it as in `sm_86`',
        ),
        ({"latency_table": "t.json", "cpu": "native", "triple": None}, "has its times from `t.json`"),
    ],
)
def test_what_no_target_can_be_is_refused_with_a_way_out(changed: dict[str, str], said: str) -> None:
    with pytest.raises((UnsupportedTarget, device.UnknownProcessor), match=said):
        resolve(replace(AARCH64, **changed))


def test_what_carries_a_bundle_is_said() -> None:
    said = {
        name: lines_of(facts_of(known_targets()[name].settings))[-1]
        for name in ("raspberry_pi_5", "armv7", "c")
    }
    assert said["raspberry_pi_5"].endswith("bundles carry TVM's libraries for it")
    assert "TVM has no libraries for it" in said["armv7"]
    assert "no bundle holds C source" in said["c"]


def test_switches_change_the_features() -> None:
    plain = resolve(TargetSettings("t", cpu="x86-64-v3", triple=device.triple()))
    switched = resolve(
        TargetSettings("t", cpu="x86-64-v3", triple=device.triple(), features="-fma, +avx512f,+avx512vl")
    )
    assert "fma" in features_of(plain)
    assert "fma" not in features_of(switched)
    assert switched.vector_bits == 512
    assert {"avx512f", "avx512vl"} <= needed_flags(switched)
    assert plain.key != switched.key


def test_another_machine_cannot_be_measured_here() -> None:
    with pytest.raises(
        UnsupportedTarget,
        match=r"board.*cannot be measured.*it is aarch64.*--device KEY.*latency_table.*--trials 0",
    ):
        here(AARCH64)
    assert cannot_run(resolve(TargetSettings("host"))) is None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("c", "C source, which no bundle holds; build with `--standalone`"),
        ("riscv64", "no runtime for riscv64"),
    ],
)
def test_what_no_bundle_can_be_built_for_is_refused(name: str, said: str) -> None:
    with pytest.raises(UnsupportedTarget, match=said):
        check_bundle(resolve(known_targets()[name].settings))


def test_more_threads_than_cores_can_be_built_for_and_not_measured() -> None:
    many = len(device.cores()) + 1
    target = resolve(TargetSettings("t", cpu="x86-64-v2", triple=device.triple(), threads=many))
    assert "threads" in (cannot_run(target) or "")
    with pytest.raises(UnsupportedTarget, match=f"{many} threads asked for"):
        resolve(TargetSettings("t", threads=many))


def test_generic_processors_are_told_apart_by_their_triple() -> None:
    one, other = (Target("t", "generic", f"{machine}-unknown-linux-gnu") for machine in ("aarch64", "armv7a"))
    assert one.key != other.key


def test_a_missing_cross_compiler_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("runtime.linker.has_zig", lambda: False)
    with pytest.raises(NoCompiler, match=r"g\+\+-aarch64-linux-gnu.*onepath\[cross\]"):
        compiler_for(resolve(AARCH64))


def test_zig_stands_in_for_a_cross_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("runtime.linker.has_zig", lambda: True)
    assert compiler_for(resolve(AARCH64)).command[1:] == (
        "-m",
        "ziglang",
        "cc",
        "-target",
        "aarch64-linux-gnu",
    )


def test_features_are_named_as_linux_does() -> None:
    target = Target(
        "t", "x86-64", "x86_64-unknown-linux-gnu", features=("+avx512vnni", "+sse4.1", "+fast-lzcnt")
    )
    assert {"avx512_vnni", "sse4_1"} <= needed_flags(target)
    assert "fast-lzcnt" not in needed_flags(target)
