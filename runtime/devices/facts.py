"""What a device says of itself, and what follows from that: its kind, and whether code for a target runs there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compiler.codegen.tvm_api import system_processor
from compiler.target import Target
from runtime import device
from runtime.features import needed_flags


def kind_of(facts: Mapping[str, Any]) -> str:
    """The fingerprint of the device's processor: the same for devices of one kind."""
    caches = device.data_caches([tuple(row) for row in facts["caches"]])
    return device.identity(facts["cpuinfo"], device.first_caches(caches), facts["machine"])


def unfit(facts: Mapping[str, Any], target: Target, kind: str) -> str:
    """Why a device cannot be used for a target beside devices of a kind; "" where it can."""
    machine = target.triple.partition("-")[0]
    if facts["machine"] != machine:
        return (
            f"is {facts['machine']}, and the target `{target.name}` is {machine}; name another with --target"
        )
    lacking = needed_flags(target) - device.flags_of(facts["cpuinfo"])
    # A virtual machine hides features of its own processor that its code does without.
    own = kind_of(facts) == device.fingerprint() and target.cpu == system_processor()
    if lacking and not own:
        return f"lacks {', '.join(sorted(lacking))}, which code for the target `{target.name}` needs"
    if kind_of(facts) != kind:
        return (
            f"is another processor ({kind_of(facts)}) than the first one ({kind}); give it a key of its own"
        )
    return ""
