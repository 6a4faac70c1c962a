"""The tuner: tries schedules of kernels on this machine and keeps what it measures.

Candidates come from the templates in the order of their guess; the first few are followed by what is best
for kernels of near shapes. A round builds some on all cores, then measures them one at a time with nothing
else running. Rounds spend trials where the network gains most: on kernels that are slow, weigh much, and
improved lately. Which of the fastest is best among other kernels is decided by prices (`runtime.shortlist`).
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from compiler.codegen.schedules import candidates
from compiler.codegen.schedules.template import Schedule
from compiler.footprint import FOOTPRINT_BYTES
from compiler.kernel import Kernel
from compiler.target import Target
from dsl.suggest import counted
from runtime.budget import Budget
from runtime.console import Progress, Silent
from runtime.records import (
    DIED,
    FAILED,
    Key,
    Neighbours,
    Record,
    Records,
    best_of,
    key_of,
    of_kind,
    writer_of,
)
from runtime.workers import Built, WorkerFailed, Workers

TRIALS = 8
"""Schedules tried of each kernel unless more is asked for."""
BUILDS_PER_ROUND = 6
"""Candidates that each worker builds before measuring starts."""
MEASURE_MS = 25.0
GAIN = 0.98
"""A time under this share of the best counts as a gain."""
PATIENCE = 20
"""A kernel whose last so many schedules brought no gain is tuned no further: of 40, those that follow bring 0.3%."""
HOPELESS = 3.0
"""A candidate this many times slower than the best is run twice and no more."""
BUILD_S, MEASURE_S = 30.0, 30.0


class NothingMeasured(Exception):
    """Not one candidate could be built and run; the message says why the first failed."""


def usable(records: Records, signatures: Iterable[str], key: Key) -> list[Record]:
    """The records of some kernels whose schedules this version can still build."""
    rows = of_kind(records.rows(signatures, key), key)
    return [row for row in rows if row.schedule.template == writer_of(row.signature)]


@dataclass(frozen=True, slots=True)
class Tuned:
    """What tuning gave: the fastest record of each kernel, counts of this run, and its seconds.

    Of `seconds`, candidates were built for `build_s`, by all workers at once, and run for `run_s`; a build took
    `build_each_s` on average, 0 where only the first were made, which take longer. `complete` is False where the budget
    ended before all trials were done.
    """

    best: Mapping[str, Record]
    measured: int
    failed: int
    seconds: float
    complete: bool
    build_s: float = 0.0
    run_s: float = 0.0
    build_each_s: float = 0.0

    @property
    def schedules(self) -> dict[str, Schedule]:
        """The schedule of each kernel that has a record."""
        return {signature: record.schedule for signature, record in self.best.items()}


@dataclass
class _Task:
    """One kernel: the schedules not tried yet, and how trying went."""

    signature: str
    kernel: Kernel
    weight: float
    waiting: list[Schedule]
    died: frozenset[Schedule]
    tried: int = 0
    best_ns: float = float("inf")
    dry: int = 0

    @property
    def open(self) -> bool:
        """Whether another schedule is worth a trial."""
        return bool(self.waiting) and self.dry < PATIENCE

    def count(self, nanoseconds: float) -> None:
        """Take note of one more trial."""
        self.tried += 1
        self.dry = 0 if nanoseconds < GAIN * self.best_ns else self.dry + 1
        self.best_ns = min(self.best_ns, nanoseconds)

    def urgency(self, granted: int) -> float:
        """What the next trial is worth, once `granted` more are under way; the first is worth most."""
        if self.tried + granted == 0:
            return float("inf")
        best = 1e9 if self.best_ns == float("inf") else self.best_ns
        return self.weight * best / (1 + self.dry + granted)


@dataclass(frozen=True, slots=True)
class _Trial:
    task: _Task
    schedule: Schedule


def tune(
    kernels: Mapping[str, Kernel],
    target: Target,
    records: Records,
    *,
    trials: int = TRIALS,
    budget: Budget | None = None,
    share: float = 1.0,
    builds_after: int = 0,
    after_s: float = 0.0,
    weights: Mapping[str, float] | None = None,
    footprint_bytes: int = FOOTPRINT_BYTES,
    progress: Progress | None = None,
    workers: Workers | None = None,
) -> Tuned:
    """Try up to `trials` schedules of each kernel, until about `share` of what is left of the budget is spent.

    It ends sooner where what follows needs more: as long as building `builds_after` kernels takes, and `after_s`.

    What the records hold already is not measured again and counts as tried, except schedules that ended
    the worker or ran out of time: a busy machine does that too, so they get a second chance. `weights`
    says how often a network runs each kernel (1 where it says nothing). Each measurement is on disk when
    the next begins, so an interrupt loses nothing.

    Raises:
        NothingMeasured: no kernel has a valid measurement, old or new, although the budget allowed for one.
        Unsupported: a kernel that no template writes.
    """
    with ExitStack() as stack:
        run = _Run(
            kernels,
            target,
            records,
            trials,
            weights or {},
            footprint_bytes // 64,
            budget or Budget(),
            share,
            builds_after,
            after_s,
            progress or Silent(),
            workers,
        )
        if run.tasks and run.left:
            run.workers = workers or stack.enter_context(Workers(target.threads))
            run.rounds()
        return run.result()


@dataclass
class _Run:
    """One run of the tuner."""

    kernels: Mapping[str, Kernel]
    target: Target
    records: Records
    trials: int
    weights: Mapping[str, float]
    lines: int
    budget: Budget
    share: float
    builds_after: int
    after_s: float
    progress: Progress
    workers: Workers | None = None
    tasks: list[_Task] = field(default_factory=list)
    done: int = 0
    warm_builds: int = 0
    warm_s: float = 0.0
    failed: int = 0
    first_failure: str = ""
    build_s: float = 0.0
    run_s: float = 0.0

    def __post_init__(self) -> None:
        self.begin = time.monotonic()
        self.last_s = 0.0 if self.budget.seconds is None else (1 - self.share) * self.budget.left_s
        self.key = key_of(self.target, None if self.workers is None else self.workers.processor)
        held = usable(self.records, self.kernels, self.key)
        best, neighbours = best_of(held), Neighbours(self.records, self.key)
        for signature, kernel in self.kernels.items():
            own = [record for record in held if record.signature == signature]
            died = frozenset(record.schedule for record in own if record.status.startswith(DIED))
            tried = {record.schedule for record in own} - died
            queue = candidates(kernel, self.target)
            trials = max(0, self.trials - len(tried.intersection(queue)))
            if trials:
                queue = neighbours.seeded(kernel, queue)
            waiting = [schedule for schedule in queue if schedule not in tried][:trials]
            task = _Task(signature, kernel, self.weights.get(signature, 1.0), waiting, died)
            held_ns = {record.schedule: record.median_ns for record in own}
            for schedule in queue:
                if schedule in tried:
                    task.count(held_ns[schedule])
            if signature in best:
                task.best_ns = best[signature].median_ns
            self.tasks.append(task)

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return time.monotonic() - self.begin

    @property
    def left(self) -> int:
        """Trials that are still worth their time."""
        return sum(len(task.waiting) for task in self.tasks if task.open)

    @property
    def left_s(self) -> float:
        """The seconds that are left for tuning: of the budget, without what is for what follows."""
        after_s = self.builds_after * self.build_each_s + self.after_s if self.warm_builds else 0.0
        return self.budget.left_s - max(self.last_s, after_s)

    @property
    def build_each_s(self) -> float:
        """How long a build takes; the first builds of a worker take long, and say nothing of those after."""
        return self.warm_s / self.warm_builds if self.warm_builds else 0.0

    @property
    def over(self) -> bool:
        """Whether the budget has ended."""
        return self.left_s < 0

    def rounds(self) -> None:
        """Build and measure until nothing is left or the budget ends."""
        while not self.over:
            batch = self._batch(self._size())
            if not batch:
                return
            self._round(batch)

    def _size(self) -> int:
        """The candidates of a round: as many as are worth it, fewer where less time is left.

        The first round is of one a worker, so that there soon is a record to go on from.
        """
        assert self.workers is not None
        most = BUILDS_PER_ROUND * len(self.workers.all)
        if not self.done:
            return min(most, len(self.workers.all))
        each_s = (self.build_s + self.run_s) / self.done
        return max(1, int(min(most, self.left_s / max(each_s, 1e-6))))

    def _batch(self, size: int) -> list[_Trial]:
        """The most urgent trials."""
        queue = [(-task.urgency(0), index, 0) for index, task in enumerate(self.tasks) if task.open]
        heapq.heapify(queue)
        batch: list[_Trial] = []
        while queue and len(batch) < size:
            _, index, granted = heapq.heappop(queue)
            task = self.tasks[index]
            batch.append(_Trial(task, task.waiting.pop(0)))
            if task.waiting:
                heapq.heappush(queue, (-task.urgency(granted + 1), index, granted + 1))
        return batch

    def _round(self, batch: Sequence[_Trial]) -> None:
        assert self.workers is not None
        begin = time.monotonic()
        requests = [self._build(str(index), trial) for index, trial in enumerate(batch)]
        built: list[Built] = []
        for index, found in self.workers.build(requests, BUILD_S):
            if isinstance(found, WorkerFailed):
                self._fail(batch[index], found)
            else:
                built.append(found)
        seconds = time.monotonic() - begin
        if self.build_s:
            self.warm_s, self.warm_builds = self.warm_s + seconds, self.warm_builds + len(built)
        self.build_s += seconds
        begin, unmeasured = time.monotonic(), list[int]()
        asked = self.workers.measure(
            built, lambda index: self._measure(batch[index]), MEASURE_S, lambda: self.over
        )
        for index, outcome in asked:
            if outcome is None:
                unmeasured.append(index)
            elif isinstance(outcome, WorkerFailed):
                self._fail(batch[index], outcome)
            else:
                trial, times = batch[index], tuple(int(row[0]) for row in outcome.times)
                key = replace(self.key, processor=outcome.processor)
                self._keep(trial, Record(trial.task.signature, key, trial.schedule, times))
        self.run_s += time.monotonic() - begin
        self.workers.forget(built)
        for index in sorted(unmeasured, reverse=True):
            batch[index].task.waiting.insert(0, batch[index].schedule)

    def _build(self, name: str, trial: _Trial) -> dict[str, object]:
        kernels = [[trial.task.signature, trial.schedule.text]]
        return {"do": "build", "name": name, "kernels": kernels, "target": self.target.to_json()}

    def _measure(self, trial: _Trial) -> dict[str, object]:
        request: dict[str, object] = {"lines": self.lines, "milliseconds": MEASURE_MS}
        if trial.task.best_ns < float("inf"):
            request["limit_ns"] = int(HOPELESS * trial.task.best_ns) + 2000
        return request

    def _fail(self, trial: _Trial, failure: WorkerFailed) -> None:
        self.failed += 1
        self.first_failure = self.first_failure or failure.reason
        again = failure.died and trial.schedule not in trial.task.died
        status = f"{DIED if again else FAILED}{failure.reason[:300]}"
        assert self.workers is not None
        key = replace(self.key, processor=self.workers.recorder)
        self._keep(trial, Record(trial.task.signature, key, trial.schedule, (), status))

    def _keep(self, trial: _Trial, record: Record) -> None:
        self.records.add(record)
        self.budget.mark()
        task = trial.task
        self.done += 1
        task.count(record.median_ns)
        best = f"{task.best_ns / 1e3:.4g} us" if task.best_ns < float("inf") else "nothing yet"
        failed = f", {self.failed} failed" if self.failed else ""
        left_s = None if self.budget.seconds is None else self.left_s
        text = f"{best}{failed}  {task.signature}"
        self.progress.update(self.done, self.done + self.left, text, kind="tuning", at_most_s=left_s)

    def result(self) -> Tuned:
        """The best of all records.

        Raises:
            NothingMeasured: there is none although the budget allowed for some.
        """
        best = best_of(usable(self.records, self.kernels, self.key))
        if self.kernels and not best and (self.first_failure or not self.over):
            reason = self.first_failure or "every candidate failed before"
            raise NothingMeasured(
                f"no schedule of {counted(len(self.kernels), 'kernel')} could be measured: {reason}"
            )
        return Tuned(
            best,
            self.done,
            self.failed,
            self.seconds,
            self.left == 0,
            self.build_s,
            self.run_s,
            self.build_each_s,
        )
