"""What the sum of the kernels leaves out: a constant, a cost per call and one per byte of constants.

They are fitted on whole networks, built of exactly the priced kernels and run from end to end, the way a bundle
is. The fit is non-negative least squares (Lawson and Hanson, 1974) of the relative errors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt

import numpy as np
from scipy.optimize import nnls

from compiler.footprint import constant_bytes
from compiler.latency import Model, Sample
from compiler.passes.fuse import Plan
from compiler.target import Target
from runtime.bench_contender import BenchProblem
from runtime.budget import Budget
from runtime.console import Progress
from runtime.network_rounds import measure_plans
from runtime.price_kernels import CannotPrice
from runtime.price_log import Price
from runtime.workers import WorkerFailed, Workers

SAMPLES = 6
"""Networks of a space that the model is fitted on."""
LEAST_ERROR = 0.02
FEWEST_SAMPLES = 4
"""With fewer networks the three coefficients leave nothing to see an error in."""
UNSEEN_ERROR = 0.25
"""The relative error that is stated then: a cautious assumption, not a measurement."""
NETWORK_S = 2.0
"""About how long a network of a fit takes besides its compilation: to be loaded and timed in three rounds."""


def spread_out(plans: Sequence[Plan], count: int = SAMPLES) -> list[Plan]:
    """Different plans, half of them from the least to the most calls and half from the fewest to the most constants:
    a fit needs the ends of both.
    """
    by_calls = sorted(distinct(plans), key=lambda plan: (len(plan.calls), _constants(plan)))
    chosen = _evenly(by_calls, count // 2)
    others = [plan for plan in by_calls if plan not in chosen]
    by_constants = sorted(others, key=lambda plan: (_constants(plan), len(plan.calls)))
    return [*chosen, *_evenly(by_constants, count - count // 2)]


def _constants(plan: Plan) -> int:
    return sum(constant_bytes(call.kernel) for call in plan.calls)


def _evenly(plans: Sequence[Plan], count: int) -> list[Plan]:
    if len(plans) <= count:
        return list(plans)
    places = {round(index * (len(plans) - 1) / max(count - 1, 1)) for index in range(count)}
    return [plans[place] for place in sorted(places)]


def with_cuts(plans: Sequence[Plan]) -> list[Plan]:
    """The plans; where they are too few for a fit, also the first quarters of the longest."""
    if not plans or len(plans) >= FEWEST_SAMPLES:
        return list(plans)
    longest = max(plans, key=lambda plan: len(plan.calls))
    lengths = (max(1, len(longest.calls) * part // FEWEST_SAMPLES) for part in range(1, FEWEST_SAMPLES))
    return distinct([*(_cut(longest, length) for length in lengths), *plans])


def builds(plans: Sequence[Plan], at_once: int) -> int:
    """As many builds of kernels on `at_once` workers take as long as the networks, each compiled by one of them."""
    sizes = [len(plan.kernels) for plan in plans]
    return max(sum(sizes), at_once * max(sizes, default=0))


def affordable(plans: Sequence[Plan], build_s: float, at_once: int, left_s: float, least: int) -> list[Plan]:
    """Those of the plans that there is time to compile and run, `least` at the least, in their order.

    The longest comes first, then the shortest, whose error would be largest: a fit that has seen neither says little
    about them. `build_s` is how long a build of a kernel takes on all of `at_once` workers.
    """
    ordered = sorted(plans, key=lambda plan: len(plan.calls))
    chosen: list[Plan] = []
    for plan in [*ordered[-1:], *ordered[:-1]]:
        seconds = build_s * builds([*chosen, plan], at_once) + NETWORK_S * (len(chosen) + 1)
        if seconds > left_s and len(chosen) >= least:
            break
        chosen.append(plan)
    return [plan for plan in plans if plan in chosen]


def _cut(plan: Plan, length: int) -> Plan:
    """The network that ends with the value of the call at `length`; calls it does not need are left out."""
    output = plan.calls[length - 1].output
    needed, calls = {output, *plan.inputs}, []
    for call in reversed(plan.calls[:length]):
        if call.output in needed:
            calls.append(call)
            needed.update(call.inputs)
    types = {name: shape for name, shape in plan.types.items() if name in needed}
    return Plan(plan.inputs, tuple(reversed(calls)), output, types)


def distinct(plans: Sequence[Plan]) -> list[Plan]:
    """The first of all plans that call the same kernels in the same order."""
    found: dict[tuple[str, ...], Plan] = {}
    for plan in plans:
        found.setdefault(tuple(call.kernel.signature for call in plan.calls), plan)
    return list(found.values())


def measure_samples(
    plans: Sequence[Plan],
    prices: Mapping[str, Price],
    target: Target,
    workers: Workers,
    progress: Progress | None = None,
    budget: Budget | None = None,
    seconds: float = 0.0,
) -> tuple[tuple[Sample, ...], list[str]]:
    """The networks measured whole, for `seconds` at least, and the processor that each ran on, as records name it.

    Raises:
        CannotPrice: a network cannot be built or run.
    """
    schedules = {signature: price.schedule for signature, price in prices.items()}
    try:
        measured = measure_plans(plans, schedules, target, workers, progress, budget, seconds)
    except (WorkerFailed, BenchProblem) as failure:
        raise CannotPrice(f"a network of the space cannot be built or run: {failure}") from None
    samples = tuple(
        Sample(
            len(plan.calls),
            sum(prices[call.kernel.signature].median_ns for call in plan.calls) / 1e6,
            time.ms,
            _constants(plan),
        )
        for plan, time in zip(plans, measured, strict=True)
    )
    return samples, [time.processor for time in measured]


def fit_samples(samples: Sequence[Sample]) -> Model:
    """The model that fits the samples best, and its root mean square relative error on them.

    Two samples have no cost of constants, and one has the constant alone. The error is corrected for the coefficients
    fitted. Fewer than `FEWEST_SAMPLES` say too little about it: then it is at least `UNSEEN_ERROR`, and 1 without any.
    """
    if not samples:
        return Model(0.0, 0.0, 1.0, ())
    scale = np.array([1 / sample.measured_ms for sample in samples])
    left = np.array([sample.measured_ms - sample.kernels_ms for sample in samples])
    matrix = np.array([[1.0, sample.calls, sample.constant_bytes / 1e6] for sample in samples])
    # Of fewer samples than coefficients nnls would take whichever has the largest numbers.
    matrix[:, len(samples) :] = 0.0
    found, _ = nnls(matrix * scale[:, None], left * scale)
    residuals = (matrix @ found - left) * scale
    constant, per_call, per_megabyte = map(float, found)
    freedom = max(1, len(samples) - int(np.count_nonzero(found)))
    least = LEAST_ERROR if len(samples) >= FEWEST_SAMPLES else UNSEEN_ERROR
    error = max(least, sqrt(float(np.sum(residuals**2)) / freedom))
    return Model(constant, per_call, error, tuple(samples), per_megabyte)
