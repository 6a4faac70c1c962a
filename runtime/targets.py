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
        UnsupportedTarget: its kind, table, triple or features are not supported yet, or there are not so
            many cores.
        UnknownProcessor: LLVM does not know its processor.
    """
    for name, given in (("latency_table", settings.latency_table), ("features", settings.features)):
        if given is not None:
            raise UnsupportedTarget(f"target `{settings.name}`: `{name}` is not supported yet; leave it out")
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
