"""Kernels without a template of their own: each element of the result from where it stands, in vectors of channels.

Movement of elements, small products, and products of operands that broadcast. Correct on every shape, and made
for no speed beyond vectors and a parallel loop over places.

Parameters: `vectors` of channels in one turn of the loop.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from compiler.codegen.schedules.emit import Emitter
from compiler.codegen.schedules.places import Site, Value, vector_candidates, write_places
from compiler.codegen.schedules.plain_movement import MOVEMENT, is_scalar
from compiler.codegen.schedules.plain_products import PRODUCTS, pack_conv_transpose
from compiler.codegen.schedules.template import (
    Arguments,
    Array,
    Parameters,
    Weights,
    concatenate,
    dissect,
    image,
)
from compiler.kernel import Kernel
from compiler.target import Target

VALUES: Mapping[str, Value] = {**MOVEMENT, **PRODUCTS}


class Plain:
    """The template of kernels that begin with an operator of `VALUES`, or with a product that broadcasts."""

    name = "plain/2"
    operators = (*VALUES, "mul")

    def applies(self, kernel: Kernel) -> bool:
        """One of its operators first, or elementwise operators on inputs of several types."""
        if dissect(kernel).anchor is None:
            return any(shape != kernel.output for shape in kernel.inputs)
        return kernel.steps[0].operator in VALUES

    def candidates(self, kernel: Kernel, target: Target) -> list[Parameters]:
        """A few vectors at a time."""
        return vector_candidates(image(kernel.output)[2], _lanes(kernel, target))

    def emit(
        self, emitter: Emitter, kernel: Kernel, parameters: Parameters, target: Target, arguments: Arguments
    ) -> None:
        """Write the loops over places and channels."""
        value = VALUES.get(kernel.steps[0].operator)
        lanes = _lanes(kernel, target)
        site = Site(emitter, kernel, arguments)
        write_places(site, value, parameters["vectors"], lanes, parallel=target.threads > 1)

    def pack(self, kernel: Kernel, parameters: Parameters, target: Target, weights: Weights) -> Array:
        """The trained tensors as they are; those of a transposed convolution with the output channels last."""
        parts: list[Array] = [
            np.asarray(weight) for (step, _), weight in sorted(weights.items()) if step == 0
        ]
        if kernel.steps[0].operator == "conv_transpose":
            parts = pack_conv_transpose(kernel.steps[0], weights)
        return concatenate(parts)


def _lanes(kernel: Kernel, target: Target) -> int:
    return 1 if is_scalar(kernel) else target.lanes


TEMPLATE = Plain()
