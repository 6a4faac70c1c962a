"""Kernels in company: what each takes while as many others as a network has run in turns with it.

Their code and constants pass through the caches between two of its runs, and as much other memory as makes up what a
network touches; its inputs have just been written, as in a network.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt

from compiler.codegen.schedules.template import packed_size
from compiler.footprint import FOOTPRINT_BYTES
from compiler.kernel import FP32_BYTES, parse
from compiler.target import Target
from dsl.suggest import counted
from runtime.budget import Budget
from runtime.console import Progress, Silent
from runtime.price_log import Item, Price, PriceLog
from runtime.workers import Built, Measured, Outcome, WorkerFailed, Workers

METHOD = "median of means, company and memory, cost of constants"
"""What a price is; tables of another method are made anew, and the version of the records goes with it."""
PASSES = 3
"""How often each schedule is priced, with all others in between; the middle one counts."""
BLOCK_NS, FEWEST_BLOCKS = 200_000, 15
"""What a block of runs takes at least, and how many blocks there are at least; that comes first."""
COMPANY_MS, MOST_ROWS = 150.0, 1000
LINE_BYTES = 64
LARGEST_COMPANY = 40
BUILD_S_A_KERNEL = 20.0


class CannotPrice(Exception):
    """A kernel that can neither be built nor run; the message names it and says why."""


@dataclass(frozen=True, slots=True)
class Time:
    """What pricing may take: what is left of `budget` once `builds_after` more kernels are built, each in `build_s`.

    `after_s` is for what follows besides. `build_s` is 0 where nothing was built yet that could tell.
    """

    budget: Budget
    build_s: float = 0.0
    builds_after: int = 0
    after_s: float = 0.0

    @property
    def left_s(self) -> float:
        """The seconds left for pricing; infinite without a budget."""
        return self.budget.left_s - self.build_s * self.builds_after - self.after_s


def price(
    target: Target,
    workers: Workers,
    log: PriceLog,
    *,
    footprint_bytes: int = FOOTPRINT_BYTES,
    progress: Progress | None = None,
    time: Time | None = None,
) -> dict[str, Price]:
    """Every kernel's time in company by the best schedule of the log; what it holds already is not measured again.

    One run of a network touches `footprint_bytes`. Where the time is short, fewer schedules are priced, and in fewer
    passes: one of each kernel in one pass at least.

    Raises:
        CannotPrice: a kernel that fails by itself, too.
        RecordsProblem: a price cannot be kept.
    """
    time = time or Time(Budget())
    groups = _groups(log, time)
    requests = [_group_request(str(index), group, target) for index, group in enumerate(groups)]
    seconds = BUILD_S_A_KERNEL * max(map(len, groups), default=1)
    built: dict[int, Built] = {}
    failures: dict[int, WorkerFailed] = {}
    said = progress or Silent()
    for done, (index, found) in enumerate(workers.build(requests, seconds), 1):
        said.update(done, len(groups), kind="building groups of kernels")
        if isinstance(found, WorkerFailed):
            failures[index] = found
        else:
            built[index] = found
    for index, failure in failures.items():
        raise _culprit(groups[index], target, workers, failure)

    def request(index: int) -> dict[str, object]:
        return _request(groups[index], footprint_bytes)

    pass_s = 0.0
    for number in range(PASSES):
        if number and time.left_s < pass_s:
            break
        before_s = time.budget.spent_s
        lacking = [built[index] for index in sorted(built) if log.lacks(number, groups[index])]
        for done, (index, outcome) in enumerate(workers.measure(lacking, request), 1):
            _keep(log, number, groups[index], outcome)
            time.budget.mark()
            passed = (number + 1) * len(built) - len(lacking)
            said.update(passed + done, PASSES * len(built), kind="pricing groups of kernels")
        pass_s = time.budget.spent_s - before_s
    workers.forget(list(built.values()))
    return log.chosen()


def _groups(log: PriceLog, time: Time) -> list[list[Item]]:
    """What is to be built and run together, in companies as large as a network's."""
    items = _affordable(log, time)
    random.Random(0).shuffle(items)
    count = max(1, round(len(items) / max(2, min(log.company, LARGEST_COMPANY))))
    groups = [items[index::count] for index in range(count)]
    passes = PASSES if time.left_s > 0 else 1
    return [group for group in groups if any(log.lacks(number, group) for number in range(passes))]


def _affordable(log: PriceLog, time: Time) -> list[Item]:
    """What there is time to build: the first schedule of each kernel at least, which is its fastest alone."""
    lacking = [item for item in log.items if log.lacks(0, [item])]
    if time.build_s * len(lacking) <= time.left_s:
        return list(log.items)
    firsts = {item[0]: item for item in reversed(log.items)}
    others = [item for item in lacking if firsts[item[0]] != item]
    spare_s = time.left_s - time.build_s * (len(lacking) - len(others))
    dropped = set(others[int(max(0.0, spare_s) / time.build_s) if time.build_s else 0 :])
    return [item for item in log.items if item not in dropped]


def _group_request(name: str, group: Sequence[Item], target: Target) -> dict[str, object]:
    kernels = [[signature, schedule.text] for signature, schedule in group]
    return {"do": "build", "name": name, "kernels": kernels, "target": target.to_json()}


def _request(group: Sequence[Item], footprint_bytes: int) -> dict[str, object]:
    lines = max(0, footprint_bytes - _touched(group)) // (LINE_BYTES * len(group))
    return {"lines": lines, "milliseconds": COMPANY_MS, "most": MOST_ROWS}


def _keep(log: PriceLog, number: int, group: Sequence[Item], outcome: Outcome) -> None:
    """Keep the prices of a group.

    Raises:
        CannotPrice: it could not be run.
    """
    if not isinstance(outcome, Measured):
        reason = "the process that built them is gone" if outcome is None else outcome.reason
        raise CannotPrice(f"kernels could not be run in turns: {reason}; the first is {group[0][0]}")
    rows = np.array(outcome.times, dtype=np.float64)
    middles, slow = [median_of_means(column) for column in rows.T], np.quantile(rows, 0.9, axis=0)
    prices = {
        item: Price(item[1], middle, float(late) / max(middle, 1.0))
        for item, middle, late in zip(group, middles, slow, strict=True)
    }
    log.keep(number, prices, outcome.processor)


def _touched(group: Sequence[Item]) -> int:
    """Bytes that one turn of a group touches: all constants, and the largest inputs and output, which all share."""
    kernels = [parse(signature) for signature, _ in group]
    values = max(sum(map(prod, (*kernel.inputs, kernel.output))) for kernel in kernels)
    return FP32_BYTES * (sum(map(packed_size, kernels)) + values)


def median_of_means(times: npt.NDArray[np.float64]) -> float:
    """What to add up: the median over blocks of consecutive runs of a block's mean time (Nemirovsky and Yudin, 1983).

    A processor that is not alone stops for some microseconds every now and then. Few runs of a short kernel see
    that, so that their median leaves it out, and every run of a network does. A mean alone would have in it the
    milliseconds for which something else ran; here they spoil one block.
    """
    runs = max(1, min(round(BLOCK_NS / max(float(np.median(times)), 1.0)), len(times) // FEWEST_BLOCKS))
    blocks = times[: len(times) // runs * runs].reshape(-1, runs)
    return float(np.median(blocks.mean(axis=1)))


def _culprit(group: Sequence[Item], target: Target, workers: Workers, failure: WorkerFailed) -> CannotPrice:
    """The kernel because of which a group could not be built."""
    for item in group:
        try:
            workers.first.ask(_group_request("one", [item], target), BUILD_S_A_KERNEL)
            workers.first.ask({"do": "forget", "name": "one"})
        except WorkerFailed as alone:
            return CannotPrice(f"kernel {item[0]} cannot be built: {alone.reason}")
    return CannotPrice(f"{counted(len(group), 'kernel')} cannot be built together: {failure.reason}")
