"""What LLVM has to say of a file's targets; it is asked only where a target says something that it can judge."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from dsl import syntax
from dsl.diagnostic import Diagnostic
from dsl.resolve import resolve_settings
from dsl.settings import TargetSettings

JUDGED = ("kind", "cpu", "triple", "features", "abi", "arch")


def target_problems(file: syntax.File) -> list[Diagnostic]:
    """The first wrong setting of each target of a file without errors.

    That a target fits this machine is not asked: a file is right on any machine.
    """
    targets = [
        each for each in file.select(syntax.Target) if any(part.name in JUDGED for part in each.settings)
    ]
    if not targets:
        return []
    settings = resolve_settings(file)[0]
    return [problem for each in targets for problem in _problems(each, settings.targets[each.name])]


def _problems(target: syntax.Target, settings: TargetSettings) -> Iterator[Diagnostic]:
    # TVM takes seconds to import.
    from runtime.device import UnknownProcessor
    from runtime.targets import WrongSetting, resolve, times_alone

    if times_alone(settings):
        return
    try:
        resolve(replace(settings, threads=1))
    except WrongSetting as problem:
        yield _diagnostic(target, problem.key, problem.message, problem.hint)
    except UnknownProcessor as problem:
        yield _diagnostic(target, "cpu", problem.message, problem.hint)


def _diagnostic(target: syntax.Target, key: str, message: str, hint: str | None) -> Diagnostic:
    """At the value of the setting; at the first setting that LLVM judges where that one is not written."""
    written = {each.name: each.value.span for each in reversed(target.settings) if each.name in JUDGED}
    place = written.get(key) or next(reversed(written.values()))
    return Diagnostic("E0407", message, place, hint)
