"""Our schedule templates, in the order they are asked; the first that applies writes the kernel."""

from __future__ import annotations

from collections.abc import Mapping

from compiler.codegen.schedules import (
    attention,
    concat,
    dense,
    elementwise,
    line_buffer,
    mean,
    plain,
    rows,
    shuffle,
    window,
)
from compiler.codegen.schedules.template import Schedule, Template, Unsupported, dissect
from compiler.kernel import Kernel
from compiler.passes.fold import FOLDED
from compiler.passes.fuse import FREE
from compiler.target import Target

TEMPLATES: tuple[Template, ...] = (
    line_buffer.TEMPLATE,
    dense.TEMPLATE,
    window.TEMPLATE,
    mean.TEMPLATE,
    concat.TEMPLATE,
    shuffle.TEMPLATE,
    elementwise.TEMPLATE,
    rows.TEMPLATE,
    attention.TEMPLATE,
    plain.TEMPLATE,
)


def template_of(kernel: Kernel) -> Template:
    """The template that writes the kernel.

    Raises:
        Unsupported: none does; the message names the operator.
    """
    if line_buffer.TEMPLATE.applies(kernel):
        return line_buffer.TEMPLATE
    dissect(kernel)
    for template in TEMPLATES:
        if template.applies(kernel):
            return template
    raise Unsupported(
        f"no schedule template writes `{kernel.steps[0].operator}` yet: a network with it can be trained and "
        f"exported to ONNX, but not built ({kernel.signature})"
    )


def built_operators() -> frozenset[str]:
    """The operators that a bundle can hold: those with a kernel, and those that need none."""
    return frozenset((*FOLDED, *FREE, *(name for template in TEMPLATES for name in template.operators)))


def candidates(kernel: Kernel, target: Target) -> list[Schedule]:
    """Schedules worth trying, best guess first; the first is the default.

    Raises:
        Unsupported: no template writes the kernel.
    """
    template = template_of(kernel)
    return [Schedule.of(template.name, parameters) for parameters in template.candidates(kernel, target)]


def default_schedules(kernels: Mapping[str, Kernel], target: Target) -> dict[str, Schedule]:
    """The default schedule of every kernel, by signature: what needs no measurement.

    Raises:
        Unsupported: no template writes a kernel.
    """
    return {signature: candidates(kernel, target)[0] for signature, kernel in kernels.items()}


def template_named(name: str) -> Template:
    """The template of a recorded schedule.

    Raises:
        ValueError: this version has none of that name.
    """
    for template in TEMPLATES:
        if template.name == name:
            return template
    raise ValueError(f"no schedule template is called `{name}`: the record is of another version")
