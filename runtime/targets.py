"""From a target as a file says it to a target as the code generator sees it."""

from __future__ import annotations

from compiler.target import Target
from dsl.settings import TargetSettings
from runtime import device

NATIVE = "native"


class UnsupportedTarget(Exception):
    """A target that this version cannot build for, or cannot measure on this machine."""


def resolve(settings: TargetSettings) -> Target:
    """The target of settings; `cpu = "native"` is this machine's processor.

    Raises:
        UnsupportedTarget: its kind, triple or features are not supported yet, its times come from elsewhere, or
            there are not so many cores.
        UnknownProcessor: LLVM does not know its processor.
    """
    if settings.latency_table is not None:
        raise UnsupportedTarget(
            f"target `{settings.name}` has its times from `{settings.latency_table}`: `onepath cost`, `search`, "
            "`derive`, `train` and `export` work for it, but nothing is tuned, built or measured on it"
        )
    if settings.features is not None:
        raise UnsupportedTarget(f"target `{settings.name}`: `features` is not supported yet; leave it out")
    if settings.kind != "llvm":
        raise UnsupportedTarget(
            f'target `{settings.name}`: kind "{settings.kind}" is not supported yet; use "llvm"'
        )
    if settings.triple is not None and settings.triple != device.triple():
        other = f"building for {settings.triple} is not supported yet"
        raise UnsupportedTarget(f"target `{settings.name}`: {other}; this machine is {device.triple()}")
    try:
        here = device.host(settings.threads, settings.name)
    except ValueError as problem:
        raise UnsupportedTarget(f"target `{settings.name}`: {problem}") from None
    if settings.cpu in (NATIVE, here.cpu):
        return here
    return device.processor(settings.cpu, here.triple, threads=settings.threads, name=settings.name)
