"""From a target as a file says it to a target as the code generator sees it, checked against LLVM."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import get_args

from compiler.codegen.tvm_api import known_features, system_processor
from compiler.target import Kind, Target
from dsl.known_targets import known_targets
from dsl.settings import TargetSettings
from dsl.suggest import counted, did_you_mean
from runtime import device
from runtime.features import needed_flags
from runtime.linker import CROSS_MACHINES, is_own
from runtime.tvm_libraries import MACHINES as MACHINES_WITH_RUNTIME

NATIVE = "native"
_SWITCH = re.compile(r"[+-][\w.-]+")
_ARCH = re.compile(r"sm_\d{2,3}a?")
_TRIPLE = re.compile(r"[a-z0-9_]+(-[a-z0-9]+)?-linux-[a-z0-9]+")
WITHOUT_MEASURING = "build for it without measuring (`--trials 0`; of a .space file, `--set target.trials=0`)"
NOT_MEASURED = f"nothing is measured on it; {WITHOUT_MEASURING}"
GPU_HOSTS = {"x86_64": "x86-64-v2", "aarch64": "generic"}
"""The processors beside a GPU unless one is named: theirs is to start kernels, so nearly any will do."""
PLAIN_BITS = 32
"""Kernels in C have no vectors of their own: C has none, and compilers make them of plain loops."""


class UnsupportedTarget(Exception):
    """A target that cannot be built for, or cannot be measured on this machine."""


class WrongSetting(UnsupportedTarget):
    """A setting of a target that LLVM, or the code generator, has no such value of: `key` is its name."""

    def __init__(self, settings: TargetSettings, key: str, message: str, hint: str | None = None) -> None:
        super().__init__(f"target `{settings.name}`: {message}" + (f"; {hint}" if hint else ""))
        self.key, self.message, self.hint = key, message, hint


def resolve(settings: TargetSettings) -> Target:
    """The target of settings, this machine or another; `cpu = "native"` is this machine's processor.

    Raises:
        UnsupportedTarget: LLVM knows no such triple or feature, nothing but its times from elsewhere is said of it,
            its kind is none, or there are not so many cores here.
        UnknownProcessor: LLVM does not know its processor.
    """
    if times_alone(settings):
        raise UnsupportedTarget(
            f"target `{settings.name}` has its times from `{settings.latency_table}`, and no processor of its own: "
            "`onepath cost`, `search`, `derive`, `train` and `export` work for it, but nothing is tuned, built or "
            'measured on it; give it a `cpu`, or `like = "raspberry_pi_5"`, to build for it'
        )
    if settings.kind not in get_args(Kind):
        hint = did_you_mean(settings.kind, get_args(Kind))
        raise WrongSetting(settings, "kind", f'kind "{settings.kind}" is not supported', hint)
    triple = settings.triple or device.triple()
    _check_triple(settings, triple)
    if settings.kind == "c":
        plain = Target(
            settings.name, "c", triple, "c", threads=settings.threads, vector_bits=PLAIN_BITS, registers=16
        )
        return _described(plain, settings)
    if settings.kind == "cuda" and settings.cpu == NATIVE:
        settings = replace(settings, cpu=GPU_HOSTS.get(triple.partition("-")[0], NATIVE))
    target = _processor(settings, triple, _switches(settings, triple))
    if settings.kind == "cuda":
        return replace(target, kind="cuda", arch=_architecture(settings))
    return target


def times_alone(settings: TargetSettings) -> bool:
    """Whether nothing is said of a target but its times from elsewhere, so that there is nothing to build for."""
    return settings.latency_table is not None and settings.cpu == NATIVE and settings.kind == "llvm"


def here(settings: TargetSettings) -> Target:
    """The target of settings, which this machine must be able to run: what is profiled, tuned or measured.

    Raises:
        UnsupportedTarget: it is another machine, or cannot be built for; the message says what can be done.
        UnknownProcessor: LLVM does not know its processor.
    """
    target = measurable(settings)
    reason = cannot_run(target)
    if reason is not None:
        raise UnsupportedTarget(
            f"target `{target.name}` cannot be measured on this machine: {reason}; measure it on such a device with "
            f"--device KEY, give it a `latency_table` to search by, or {WITHOUT_MEASURING}"
        )
    return target


def measurable(settings: TargetSettings) -> Target:
    """The target of settings, to be measured on a remote device.

    Raises:
        UnsupportedTarget: its times come from elsewhere, it is a GPU's, or it cannot be built for.
        UnknownProcessor: LLVM does not know its processor.
    """
    target = resolve(settings)
    if settings.latency_table is not None:
        raise UnsupportedTarget(
            f"target `{target.name}` has its times from `{settings.latency_table}`: {NOT_MEASURED}"
        )
    if target.kind == "cuda":
        raise UnsupportedTarget(
            f"target `{target.name}`: tuning and measuring need the device itself, an NVIDIA GPU, and are not done "
            f"for it; with TVM's default GPU schedules it builds on any machine: {WITHOUT_MEASURING}"
        )
    return target


def cannot_run(target: Target) -> str | None:
    """Why this machine does not run code of the target; None where it does."""
    if target.kind == "cuda":
        return "its kernels run on an NVIDIA GPU"
    if target.kind == "c":
        return "it is C source"
    if not is_own(target):
        return f"it is {target.triple}, and this is {device.triple()}"
    flags = device.cpu_flags()
    lacking = sorted(needed_flags(target) - flags) if flags else []
    # A virtual machine hides features of its own processor that its code does without.
    if lacking and target.cpu != system_processor():
        return f"this processor lacks {', '.join(lacking)}"
    if target.threads > len(device.cores()):
        return (
            f"it takes {target.threads} threads, and this process has {counted(len(device.cores()), 'core')}"
        )
    return None


def check_bundle(target: Target) -> None:
    """Refuse a target that no bundle can be built for, before anything long is done.

    Raises:
        UnsupportedTarget: its kind, or its machine, for which TVM has no runtime.
    """
    if target.kind == "c":
        raise UnsupportedTarget(
            f"target `{target.name}`: its kernels are C source, which no bundle holds; build with `--standalone`"
        )
    if target.machine not in MACHINES_WITH_RUNTIME:
        raise UnsupportedTarget(
            f"target `{target.name}`: TVM has no runtime for {target.machine}, which a bundle carries; bundles can be "
            f"built for {' and '.join(MACHINES_WITH_RUNTIME)}, and the standalone form needs none: `--standalone`"
        )


def _check_triple(settings: TargetSettings, triple: str) -> None:
    """Refuse what is no triple of a machine that code is generated for: LLVM crashes of some."""
    if triple == device.triple():
        return
    machine = triple.partition("-")[0]
    if machine not in CROSS_MACHINES:
        raise WrongSetting(
            settings,
            "triple",
            f"no code is generated for the triple `{triple}`; it begins with {', '.join(CROSS_MACHINES)}",
            did_you_mean(machine, CROSS_MACHINES),
        )
    if not _TRIPLE.fullmatch(triple):
        raise WrongSetting(
            settings,
            "triple",
            f"`{triple}` is no triple of Linux, which other machines must run; write it as in "
            "`aarch64-unknown-linux-gnu`",
            did_you_mean(
                triple, {known.settings.triple or triple for known in known_targets().values()} - {triple}
            ),
        )


def _processor(settings: TargetSettings, triple: str, switches: tuple[str, ...]) -> Target:
    own, cpu = device.triple(), settings.cpu
    if triple != own and cpu == NATIVE:
        raise WrongSetting(settings, "triple", f"`cpu` must be given for {triple}: this machine is {own}")
    is_host = triple == own and cpu in (NATIVE, system_processor())
    if is_host and not switches:
        try:
            return _described(device.host(settings.threads, settings.name), settings)
        except ValueError as problem:
            raise UnsupportedTarget(f"target `{settings.name}`: {problem}") from None
    if is_host:
        cpu, switches = system_processor(), (*device.host().features, *switches)
    made = device.processor(
        cpu, triple, threads=settings.threads, name=settings.name, features=switches, abi=settings.abi or ""
    )
    return _described(made, settings)


def _described(target: Target, settings: TargetSettings) -> Target:
    """The target with the caches that its settings state."""
    l1 = target.l1_bytes if settings.l1_kib is None else 1024 * settings.l1_kib
    l2 = target.l2_bytes if settings.l2_kib is None else 1024 * settings.l2_kib
    return replace(target, l1_bytes=l1, l2_bytes=l2)


def _switches(settings: TargetSettings, triple: str) -> tuple[str, ...]:
    """The feature switches, each known to LLVM."""
    switches = tuple(part.strip() for part in (settings.features or "").split(",") if part.strip())
    for switch in switches:
        if not _SWITCH.fullmatch(switch):
            message = f"`{switch}` in `features` switches nothing"
            raise WrongSetting(settings, "features", message, "write `+avx2` or `-avx512f`")
    names = {switch[1:] for switch in switches}
    unknown = sorted(names - known_features(triple)) if names else []
    if unknown:
        hint = did_you_mean(unknown[0], known_features(triple))
        message = f"LLVM knows no feature `{unknown[0]}` for {triple}"
        raise WrongSetting(settings, "features", message, hint)
    return switches


def _architecture(settings: TargetSettings) -> str:
    if settings.arch is None or not _ARCH.fullmatch(settings.arch):
        given = "is missing" if settings.arch is None else f'"{settings.arch}" is none'
        raise WrongSetting(settings, "arch", f"the `arch` of its GPU {given}", "write it as in `sm_86`")
    return settings.arch
