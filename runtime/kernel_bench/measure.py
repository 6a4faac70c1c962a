"""Measure the distinct kernels of a bundle: in company, by default schedules, against the machine and others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from compiler.codegen.schedules import default_schedules
from compiler.codegen.schedules.template import Schedule
from compiler.footprint import footprint
from compiler.kernel import Kernel, Step
from compiler.latency import LatencyTable
from compiler.passes.fuse import Plan
from compiler.target import Target
from dsl.suggest import counted
from runtime import device
from runtime.bundle_runner.pinning import kept_to
from runtime.console import Progress, Silent
from runtime.kernel_bench.elsewhere import LayerTimes
from runtime.kernel_bench.layers import PROGRAMS, NoLayers, layer_times
from runtime.kernel_bench.limits import Limits, measure_limits
from runtime.kernel_bench.reasons import NEEDS_REASON, reason_of
from runtime.kernel_bench.roofline import Bound, bound_of, network_constants
from runtime.kernel_bench.rows import KernelBench, KernelReport
from runtime.measure import probe_noise, time_alone
from runtime.price_kernels import price
from runtime.price_log import PriceLog
from runtime.records import Records
from runtime.report.layers import describe, shape
from runtime.workers import Workers

FEW_VECTORS = 16

Schedules = Mapping[str, Schedule]


@dataclass(frozen=True)
class Kernels:
    """What is measured: a network's plan as the bundle holds it, and the schedule of each kernel.

    `model` is the network as ONNX, for the other programs; None leaves them out.
    """

    network: str
    plan: Plan
    schedules: Schedules
    target: Target
    model: Path | None = None


@dataclass(frozen=True)
class Placement:
    """The threads and cores of everything that is timed."""

    threads: int
    cores: tuple[int, ...]


@dataclass(frozen=True)
class _Times:
    """Nanoseconds by signature: in company, in company by default schedules, and with all in the caches."""

    tuned: Mapping[str, float]
    default: Mapping[str, float]
    alone: Mapping[str, float]
    least: float
    noise: Mapping[str, Any] = field(default_factory=dict)


def kernels_of(model: Path, table: LatencyTable | None, target: Target) -> tuple[Plan, Schedules]:
    """The plan of an ONNX file as a bundle of this table holds it, and the schedules; without one, the default ones.

    Raises:
        OnnxProblem: the file cannot be read.
        TableProblem: the table is of another network.
        Unsupported: a kernel that no template writes.
    """
    from compiler.codegen.from_onnx import from_onnx, read_model
    from compiler.passes.fold import for_inference
    from compiler.passes.fuse import fuse

    ready, _ = for_inference(*from_onnx(read_model(model)))
    plan = fuse(ready)
    if table is None:
        return plan, default_schedules(plan.kernels, target)
    joined, schedules = table.joined(plan), table.schedules
    return joined, {name: schedules[name] for name in joined.kernels}


def measure_kernels(given: Kernels, placement: Placement, progress: Progress | None = None) -> KernelReport:
    """The report of all distinct kernels of a network; this process keeps to the cores of the placement meanwhile.

    Raises:
        CannotPrice, WorkerFailed: kernels cannot be compiled or run; the message says why.
        Unsupported: a kernel that no template writes.
    """
    with kept_to(placement.cores):
        return _measure_kernels(given, placement, progress or Silent())


def _measure_kernels(given: Kernels, placement: Placement, said: Progress) -> KernelReport:
    said.note("measuring the machine's limits")
    limits = measure_limits(given.target, placement.threads)
    constants = network_constants(given.plan)
    bounds = {name: bound_of(kernel, limits, constants) for name, kernel in given.plan.kernels.items()}
    said.note(f"timing {counted(len(bounds), 'kernel')}")
    times = _times(given, placement.threads, bounds)
    said.note("timing the same layers in other programs")
    others, left_out = _others(given, placement)
    return _report(given, limits, bounds, times, others, left_out)


def _times(given: Kernels, threads: int, bounds: Mapping[str, Bound]) -> _Times:
    """Time the kernels; those under half of their bound by themselves, too."""
    least = _least_kernel(given.target)
    kernels = {**given.plan.kernels, least.signature: least}
    defaults = default_schedules(kernels, given.target)
    schedules = {**defaults, **given.schedules}
    with Workers(threads) as workers:
        noise = probe_noise(given.target, workers.first)
        # There and back, so that neither has the quieter or the warmer machine.
        runs = [_priced(given, workers, each) for each in (schedules, defaults, defaults, schedules)]
        tuned, default = _least(runs[0], runs[3]), _least(runs[1], runs[2])
        # Where the schedules are the same, so are the kernels, and any difference would be noise.
        default |= {name: tuned[name] for name in tuned if defaults[name] == schedules[name]}
        slow = [name for name, bound in bounds.items() if bound.time_ns < NEEDS_REASON * tuned[name]]
        alone = {name: time_alone(name, schedules[name], given.target, workers.first) for name in slow}
    return _Times(tuned, default, alone, tuned[least.signature], asdict(noise) | {"noisy": noise.noisy})


def _least(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    return {name: min(time_ns, other[name]) for name, time_ns in one.items()}


def _least_kernel(target: Target) -> Kernel:
    """A kernel that does next to nothing, and shares it out where there are several threads: a ReLU of few vectors."""
    return Kernel(((target.lanes * FEW_VECTORS,),), (Step("relu", (), (0,)),))


def _priced(given: Kernels, workers: Workers, schedules: Schedules) -> dict[str, float]:
    """Nanoseconds in company, as latency tables have them, measured now; no records are used or kept."""
    with TemporaryDirectory(prefix="onepath-") as folder, Records(Path(folder) / "records.sqlite") as records:
        noise = device.Noise(0.0, 0.0, 1.0)
        each = {name: [schedule] for name, schedule in schedules.items()}
        log = PriceLog(records, given.target, each, len(schedules), noise)
        prices = price(given.target, workers, log, footprint_bytes=footprint(given.plan))
        return {name: found.median_ns for name, found in prices.items()}


def _others(given: Kernels, placement: Placement) -> tuple[dict[str, LayerTimes], dict[str, str]]:
    """The layers' times in each other program, and why some have none."""
    found: dict[str, LayerTimes] = {}
    left_out: dict[str, str] = {}
    if given.model is None:
        return found, left_out
    input_shape = (1, *given.plan.types[given.plan.inputs[0]])
    setup = {"threads": placement.threads, "cores": placement.cores, "shape": input_shape}
    for program in PROGRAMS:
        try:
            found[program.NAME] = layer_times(program, given.model, given.plan, setup)
        except NoLayers as problem:
            left_out[program.NAME] = str(problem)
    return found, left_out


def _report(
    given: Kernels,
    limits: Limits,
    bounds: Mapping[str, Bound],
    times: _Times,
    others: Mapping[str, LayerTimes],
    left_out: Mapping[str, str],
) -> KernelReport:
    return KernelReport(
        network=given.network,
        threads=limits.threads,
        limits=limits,
        kernels=tuple(_row(given, name, bound, times, others) for name, bound in bounds.items()),
        machine=dict(device.description()),
        noise=dict(times.noise),
        least_us=times.least / 1e3,
        others={program.NAME: program.version() for program in PROGRAMS if program.NAME in others},
        elsewhere_us={name: own.between_us for name, own in others.items()},
        left_out=dict(left_out),
    )


def _row(
    given: Kernels, signature: str, bound: Bound, times: _Times, others: Mapping[str, LayerTimes]
) -> KernelBench:
    kernel, time_ns = given.plan.kernels[signature], times.tuned[signature]
    alone = times.alone.get(signature)
    return KernelBench(
        name=f"{describe(kernel)}  {shape(kernel.inputs[0])} → {shape(kernel.output)}",
        signature=signature,
        schedule=given.schedules[signature].text,
        calls=sum(call.kernel.signature == signature for call in given.plan.calls),
        time_us=time_ns / 1e3,
        gflops=bound.flops / time_ns,
        bytes_moved=kernel.bytes_moved,
        intensity=bound.intensity,
        bound_us=bound.time_ns / 1e3,
        limit=bound.limit,
        share_of_bound=bound.time_ns / time_ns,
        default_us=times.default[signature] / 1e3,
        layers_us={
            name: own.kernels_us[signature] for name, own in others.items() if signature in own.kernels_us
        },
        layers_absent={
            name: own.absent[signature] for name, own in others.items() if signature in own.absent
        },
        reason="" if alone is None else reason_of(kernel, bound, time_ns, alone, times.least, given.target),
    )
