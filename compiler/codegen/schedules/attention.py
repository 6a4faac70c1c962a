"""Multi-head attention: for each head and query one pass over keys and values, without a matrix of scores.

The softmax is kept up to date while scores come in: sums so far are scaled down where a greater score is met
(Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018).

Parameters: `vectors` of a head's channels of the values that are summed in one pass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from compiler.codegen.schedules.activation import exp
from compiler.codegen.schedules.emit import Emitter, Register, broadcast, number, offsets
from compiler.codegen.schedules.places import Site, across, finish, vector_candidates
from compiler.codegen.schedules.template import (
    LOWEST,
    Arguments,
    Array,
    Parameters,
    Weights,
    concatenate,
    setting,
)
from compiler.codegen.schedules.tiles import ChannelRun, channel_runs
from compiler.codegen.tvm_api import Expr, tirx
from compiler.kernel import Kernel
from compiler.target import Target

_SCORE_VECTORS = 4
"""Products of queries and keys that are summed apart, so that additions do not wait for each other."""


class Attention:
    """The template of `attention`."""

    name = "attention/1"
    operators = ("attention",)

    def applies(self, kernel: Kernel) -> bool:
        """Attention first."""
        return kernel.steps[0].operator in self.operators

    def candidates(self, kernel: Kernel, target: Target) -> list[Parameters]:
        """A few vectors at a time."""
        step = kernel.steps[0]
        return vector_candidates(kernel.inputs[step.operands[2]][1] // setting(step, "heads"), target.lanes)

    def emit(
        self, emitter: Emitter, kernel: Kernel, parameters: Parameters, target: Target, arguments: Arguments
    ) -> None:
        """Write the loops over heads and queries."""
        site = Site(emitter, kernel, arguments)
        heads = setting(site.step, "heads")
        runs = channel_runs(_head_size(site, 2), parameters["vectors"], target.lanes)
        with (
            emitter.loop(site.shape()[0], parallel=target.threads > 1) as query,
            emitter.loop(heads) as head,
        ):
            for run in runs:
                with emitter.loop(run.count) as block:
                    first = emitter.let(head * _head_size(site, 2) + run.start + block * run.block)
                    _attend(site, query, head, first, run, target.lanes)

    def pack(self, kernel: Kernel, parameters: Parameters, target: Target, weights: Weights) -> Array:
        """Nothing."""
        return concatenate([])


def _head_size(site: Site, operand: int) -> int:
    """The channels of a head, of queries and keys (0, 1) or values (2)."""
    return site.shape(operand)[1] // setting(site.step, "heads")


@dataclass(frozen=True, slots=True)
class _Softmax:
    """The greatest score so far, the sum of powers below it, and the values so far, by first channel."""

    greatest: Register
    total: Register
    sums: dict[int, Register]

    def add(self, site: Site, score: Expr, values: dict[int, Expr]) -> None:
        """One more score and its values."""
        emitter = site.emitter
        greatest = emitter.let(tirx.max(self.greatest.get(), score))
        before = emitter.let(exp(emitter, self.greatest.get() - greatest, 1))
        power = emitter.let(exp(emitter, score - greatest, 1))
        self.total.set(self.total.get() * before + power)
        for start, register in self.sums.items():
            lanes = register.lanes
            scaled = register.get() * broadcast(before, lanes)
            register.set(scaled + broadcast(power, lanes) * values[start])
        self.greatest.set(greatest)


def _attend(site: Site, query: Expr, head: Expr, first: Expr, run: ChannelRun, lanes: int) -> None:
    """Some channels of a head of one query's result."""
    emitter, channels = site.emitter, site.result[1]
    zeros = [(start, emitter.register(number(0.0, width), width)) for start, width in _vectors(run)]
    state = _Softmax(emitter.register(number(LOWEST), 1), emitter.register(number(0.0), 1), dict(zeros))
    with emitter.loop(site.shape(1)[0]) as key:
        score = _score(site, query, head, key, lanes)
        values = {
            start: emitter.let(site.load(key * channels + first + start, width, 2))
            for start, width in _vectors(run)
        }
        state.add(site, score, values)
    factor = emitter.let(number(1.0) / state.total.get())
    for start, register in state.sums.items():
        value = emitter.let(register.get() * broadcast(factor, register.lanes))
        finish(site, value, query * channels + first + start, register.lanes)


def _vectors(run: ChannelRun) -> list[tuple[int, int]]:
    return list(zip(offsets(run.widths), run.widths, strict=True))


def _score(site: Site, query: Expr, head: Expr, key: Expr, lanes: int) -> Expr:
    """The scaled product of a query and a key."""
    emitter, size, channels = site.emitter, _head_size(site, 0), site.shape()[1]
    ours, theirs = (emitter.let(at * channels + head * size) for at in (query, key))
    total = number(0.0)
    for run in channel_runs(size, _SCORE_VECTORS, lanes):
        parts = [(start, emitter.register(number(0.0, width), width)) for start, width in _vectors(run)]
        with emitter.loop(run.count) as block:
            first = emitter.let(run.start + block * run.block)
            for start, register in parts:
                product = site.load(ours + first + start, register.lanes) * site.load(
                    theirs + first + start, register.lanes, 1
                )
                register.set(register.get() + product)
        for _, register in parts:
            total = total + across(
                emitter.let(register.get()), register.lanes, lambda one, other: one + other
            )
    return emitter.let(total * number(1 / math.sqrt(size)))


TEMPLATE = Attention()
