"""Kernels in company: what each takes while as many others as a network has run in turns with it.

Their code and constants pass through the caches between two of its runs, and its inputs have just been
written, as in a network.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np

from compiler.target import Target
from runtime.console import Progress, Silent
from runtime.price_log import Item, Price, PriceLog
from runtime.workers import Worker, WorkerFailed, Workers

PASSES = 3
"""How often each schedule is priced, with all others in between; the lowest median counts, since what
disturbs a measurement only adds to it."""
COMPANY_MS = 150.0
LARGEST_COMPANY = 40
BUILD_S_A_KERNEL = 20.0


class CannotPrice(Exception):
    """A kernel that can neither be built nor run; the message names it and says why."""


def price(
    target: Target, workers: Workers, log: PriceLog, progress: Progress | None = None
) -> dict[str, Price]:
    """Every kernel's time in company by the best schedule of the log; what it holds already is not measured again.

    Raises:
        CannotPrice: a kernel that fails by itself, too.
        RecordsProblem: a price cannot be kept.
    """
    items = list(log.items)
    random.Random(0).shuffle(items)
    count = max(1, round(len(items) / max(2, min(log.company, LARGEST_COMPANY))))
    groups = [items[index::count] for index in range(count)]
    groups = [group for group in groups if any(log.lacks(number, group) for number in range(PASSES))]
    requests = [_group_request(str(index), group, target) for index, group in enumerate(groups)]
    seconds = BUILD_S_A_KERNEL * max(map(len, groups), default=1)
    built: dict[int, Worker] = {}
    failures: dict[int, WorkerFailed] = {}
    said = progress or Silent()
    for done, (index, worker, answer) in enumerate(workers.each(requests, seconds), 1):
        said.update(done, len(groups), kind="building groups of kernels")
        if isinstance(answer, WorkerFailed):
            failures[index] = answer
        else:
            built[index] = worker
    for index, failure in failures.items():
        raise _culprit(groups[index], target, workers, failure)
    for number in range(PASSES):
        for done, (index, worker) in enumerate(sorted(built.items()), 1):
            if log.lacks(number, groups[index]):
                log.keep(number, _price_group(str(index), groups[index], worker))
            said.update(number * len(built) + done, PASSES * len(built), kind="pricing groups of kernels")
    for index, worker in built.items():
        worker.ask({"do": "forget", "name": str(index)})
    return log.lowest()


def _group_request(name: str, group: Sequence[Item], target: Target) -> dict[str, object]:
    kernels = [[signature, schedule.text] for signature, schedule in group]
    return {"do": "build", "name": name, "kernels": kernels, "target": target.to_json()}


def _price_group(name: str, group: Sequence[Item], worker: Worker) -> dict[Item, Price]:
    request = {"do": "measure", "name": name, "lines": 0, "milliseconds": COMPANY_MS}
    try:
        rows = np.array(worker.ask(request)["times"], dtype=np.float64)
    except WorkerFailed as failure:
        raise CannotPrice(
            f"kernels could not be run in turns: {failure.reason}; the first is {group[0][0]}"
        ) from None
    middles, slow = np.median(rows, axis=0), np.quantile(rows, 0.9, axis=0)
    return {
        item: Price(item[1], float(middle), float(late) / max(float(middle), 1.0))
        for item, middle, late in zip(group, middles, slow, strict=True)
    }


def _culprit(group: Sequence[Item], target: Target, workers: Workers, failure: WorkerFailed) -> CannotPrice:
    """The kernel because of which a group could not be built."""
    for item in group:
        try:
            workers.first.ask(_group_request("one", [item], target), BUILD_S_A_KERNEL)
            workers.first.ask({"do": "forget", "name": "one"})
        except WorkerFailed as alone:
            return CannotPrice(f"kernel {item[0]} cannot be built: {alone.reason}")
    return CannotPrice(f"{len(group)} kernels cannot be built together: {failure.reason}")
