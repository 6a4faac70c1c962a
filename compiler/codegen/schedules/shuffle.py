"""`channel_shuffle`: at each pixel the channels, [groups, channels of a group], turned around in registers.

Parameters: `lanes` neighbouring channels of every group are loaded at once.
"""

from __future__ import annotations

from compiler.codegen.schedules.emit import Emitter
from compiler.codegen.schedules.layout import MOST_SHUFFLED, write_turned
from compiler.codegen.schedules.places import Site, finish
from compiler.codegen.schedules.template import (
    Arguments,
    Array,
    Parameters,
    Weights,
    concatenate,
    image,
    setting,
)
from compiler.codegen.tvm_api import Expr
from compiler.kernel import Kernel
from compiler.target import Target


class Shuffle:
    """The template of `channel_shuffle`."""

    name = "shuffle/1"
    operators = ("channel_shuffle",)

    def applies(self, kernel: Kernel) -> bool:
        """A shuffle first."""
        return kernel.steps[0].operator in self.operators

    def candidates(self, kernel: Kernel, target: Target) -> list[Parameters]:
        """Full vectors, then half of them and so on: less is left over of few channels."""
        groups, channels = _sizes(kernel)
        most = max(groups, channels) if min(groups, channels) <= MOST_SHUFFLED else 1
        widths = [target.lanes >> halvings for halvings in range(3)]
        return [{"lanes": lanes} for lanes in widths if 1 < lanes <= most] or [{"lanes": 1}]

    def emit(
        self, emitter: Emitter, kernel: Kernel, parameters: Parameters, target: Target, arguments: Arguments
    ) -> None:
        """Write the loop over pixels."""
        height, width, _ = image(kernel.output)
        site = Site(emitter, kernel, arguments)
        with emitter.loop(height * width, parallel=target.threads > 1) as pixel:
            _write_pixel(site, pixel, parameters["lanes"])

    def pack(self, kernel: Kernel, parameters: Parameters, target: Target, weights: Weights) -> Array:
        """Nothing."""
        return concatenate([])


def _write_pixel(site: Site, pixel: Expr, lanes: int) -> None:
    """The channels of a pixel as an image, of few channels: of the groups, or of what is in one."""
    groups, channels = _sizes(site.kernel)
    first = site.emitter.let(pixel * (groups * channels))

    def read(offset: Expr, width: int) -> Expr:
        return site.load(first + offset, width)

    def write(offset: Expr, value: Expr, width: int) -> None:
        finish(site, value, first + offset, width)

    few, many, inwards = (groups, channels, True) if groups <= channels else (channels, groups, False)
    write_turned(site.emitter, read, write, (few, many), lanes, inwards)


def _sizes(kernel: Kernel) -> tuple[int, int]:
    """Groups, and the channels of one."""
    groups = setting(kernel.steps[0], "groups")
    return groups, image(kernel.output)[2] // groups


TEMPLATE = Shuffle()
