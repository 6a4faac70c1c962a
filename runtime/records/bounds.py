"""What a record from a stranger may say: a signature that is safe to read, parameters in their template's range."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from math import prod

from compiler.codegen.schedules import template_of
from compiler.codegen.schedules.template import Schedule
from compiler.kernel import Kernel, parse, unchecked
from compiler.target import Target
from runtime import device
from runtime.records.record import Key

LOOSE = (0, 1 << 12)
"""The range of any parameter under the key of another machine, where the template's own cannot be known."""
_LITERAL = re.compile(r"true|false|-?\d{1,9}(/[1-9]\d{0,8})?")
"""An attribute's value. Python reads more as a fraction, some of it, as 1e999999999, only with endless memory."""
_LARGEST = re.compile(r"\d{8}")
"""No size of a kernel has so many digits."""
SIZE_CAP, ELEMENT_CAP = 1 << 14, 1 << 27
"""The largest extent, and the most elements, of a value whose schedules are worth enumerating."""
_NO_KERNEL = (ValueError, KeyError, IndexError, TypeError, ArithmeticError, AttributeError)
"""What reading an attribute that an operator lacks, or cannot have, raises."""


def check_signature(signature: str) -> None:
    """Refuse what is no signature in canonical form; its operators may be those of another version.

    Raises:
        ValueError: it is none.
    """
    literals = re.findall(r"=([^,)]*)", signature)
    if _LARGEST.search(signature) or not all(map(_LITERAL.fullmatch, literals)):
        raise ValueError("the kernel has sizes or attributes beyond reason")
    if unchecked(signature).signature != signature:
        raise ValueError("the signature of the kernel is not canonical")


@lru_cache(maxsize=1 << 14)
def writer_of(signature: str) -> str:
    """The name of the template that writes a kernel, "" if none does or it is no kernel of this version.

    Records of other templates are of other versions of this program: what they say is not used.
    """
    kernel = _kernel(signature)
    return "" if kernel is None else template_of(kernel).name


def _kernel(signature: str) -> Kernel | None:
    """The kernel that a template of this version writes."""
    try:
        kernel = parse(signature)
        template_of(kernel)
    except _NO_KERNEL:
        return None
    return kernel


def check_schedule(signature: str, schedule: Schedule, key: Key) -> None:
    """Refuse parameters that the template would never propose for the kernel.

    Raises:
        ValueError: a parameter is missing, is none of the template's, or is out of its range.
    """
    if schedule.template != writer_of(signature):
        return
    given, ranges = dict(schedule.parameters), _ranges(signature, key)
    if set(given) != set(ranges):
        raise ValueError(f"{schedule.template} has the parameters {', '.join(sorted(ranges))}")
    for name, value in given.items():
        least, most = ranges[name]
        if not least <= value <= most:
            raise ValueError(f"`{name}` is {value}, and {least} to {most} for this kernel")


@lru_cache(maxsize=1 << 14)
def _ranges(signature: str, key: Key) -> dict[str, tuple[int, int]]:
    """The range of every parameter: of the template's own candidates on this machine, `LOOSE` elsewhere."""
    here, kernel = _this_machine(key), parse(signature)
    for shape in kernel.values:
        if not all(1 <= size <= SIZE_CAP for size in shape) or prod(shape) > ELEMENT_CAP:
            raise ValueError("the kernel has sizes beyond reason")
    candidates = template_of(kernel).candidates(kernel, here or device.host())
    if here is None:
        return dict.fromkeys(candidates[0], LOOSE)
    return {
        name: (min(row[name] for row in candidates), max(row[name] for row in candidates))
        for name in candidates[0]
    }


@lru_cache(maxsize=1 << 6)
def _this_machine(key: Key) -> Target | None:
    """The target of a key, where it is one that this machine tunes for."""
    if key.processor != device.fingerprint():
        return None
    try:
        fields = json.loads(key.target)
        threads = fields["threads"]
        here = device.host(min(threads, len(device.cores())))
        if here.key != key.target:
            features = tuple(fields["features"])
            here = device.processor(fields["cpu"], here.triple, threads=threads, features=features)
    except (*_NO_KERNEL, RecursionError):
        return None
    return here if here.key == key.target else None
