"""The process that compiles and runs generated code, so that a crash of it costs one request.

It reads requests as JSON lines from its standard input and answers each with one line. It is started as
`python -m runtime.worker_process` by `runtime.workers`, lives long, and ends when its input does.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from compiler.codegen import probe as probes
from compiler.codegen import tvm_api
from compiler.codegen.naive import naive_kernel, naive_module
from compiler.codegen.schedules.template import Schedule, read_schedule
from compiler.codegen.static_network import static_network
from compiler.codegen.to_relax import NETWORK, compile_network, lower
from compiler.kernel import Kernel, parse
from compiler.passes.fuse import Plan
from compiler.target import Target
from runtime.bundle_runner.pinning import spread
from runtime.child import end_with_parent
from runtime.cuda_runtime import prepare
from runtime.devices.tracker import Address
from runtime.files import read_tensors
from runtime.linker import link_for
from runtime.place import FEWEST_ROWS, MOST_ROWS, Here, PeakProbe, Place, bandwidth_gb_s
from runtime.plan_json import plan_from
from runtime.rounds import runs
from runtime.standalone_files import write_files

if TYPE_CHECKING:
    from runtime.devices.session import Session

Request = Mapping[str, Any]
Answer = dict[str, Any]

SWEEP_BYTES = 256 << 20
"""The most memory that is touched between two runs of a kernel."""


@dataclass
class _Built:
    """A compiled probe with the memory that it works on."""

    function: Any
    memory: Any
    kernels: int


@dataclass
class Worker:
    """Answers requests; holds what it built until it is told to forget it. What it runs, it runs at its place."""

    built: dict[str, _Built] = field(default_factory=dict)
    sweep: Any = None
    place: Place = field(default_factory=Here)
    session: Session | None = None
    clocks: dict[str, PeakProbe] = field(default_factory=dict)

    def answer(self, request: Request) -> Answer:
        """Do what is asked.

        Raises:
            Exception: whatever the compiler or the generated code raises; the loop reports it.
        """
        actions: Mapping[str, Callable[[Request], Answer]] = {
            "ping": lambda request: {},
            "build": self.build,
            "measure": self.measure,
            "forget": self.forget,
            "peak": self.peak,
            "bandwidth": self.bandwidth,
            "compile": _compile,
            "standalone": _standalone,
            "naive": _naive,
            "cuda": _cuda,
            "timed": self.timed,
            "untuned": self.untuned,
            "attach": self.attach,
            "clock": self.clock,
            "network": self.network,
            "rest": _rest,
        }
        return actions[request["do"]](request)

    def attach(self, request: Request) -> Answer:
        """Take a session on a remote device, and run there from now on; says what the device is."""
        from runtime.devices.session import Session

        tracker, target = Address(request["host"], request["port"]), Target.from_json(request["target"])
        self.session = Session(request["key"], tracker, target, request["wait_s"])
        self.place = self.session
        return {"facts": self.session.facts}

    def lost(self) -> bool:
        """Whether the device of the session is gone."""
        try:
            return self.session is not None and not self.session.load()
        except Exception:
            return True

    def build(self, request: Request) -> Answer:
        """Compile a probe of some kernels under a name, or link it into the library at `path`."""
        target = Target.from_json(request["target"])
        kernels: list[tuple[Kernel, Schedule]] = [
            (parse(signature), read_schedule(text)) for signature, text in request["kernels"]
        ]
        begin = time.perf_counter()
        probe = probes.probe(kernels, target)
        executable = tvm_api.build(dict(probe.functions), target)
        if "path" in request:
            tvm_api.export(executable, request["path"], link_for(target))
        else:
            function = self.place.function(executable, probes.PROBE)
            self.built[request["name"]] = _Built(function, self._memory(probe.memory), len(kernels))
        return {"seconds": time.perf_counter() - begin, "memory": probe.memory}

    def _memory(self, size: int) -> Any:
        return self.place.uniform(size, -0.05, 0.05)

    def measure(self, request: Request) -> Answer:
        """Run a probe: rows of times in nanoseconds, one column a kernel, after two warm-up rows.

        The probe is the one built under `name`, or that of a `library`, of so many `kernels` and so much `memory`.
        There are `repeats` rows, or as many as fit into `milliseconds`, from `FEWEST_ROWS` to `most`. A probe that is
        slower than `limit_ns` when warm is not run again.
        """
        if "library" in request:
            function = self.place.library(request["library"])[probes.PROBE]
            built = _Built(function, self._memory(request["memory"]), request["kernels"])
        else:
            built = self.built[request["name"]]
        lines = min(int(request["lines"]), SWEEP_BYTES // 64 // built.kernels)
        if self.sweep is None:
            self.sweep = self.place.zeros(SWEEP_BYTES // 4)
        begin = time.perf_counter()
        warm = self._rows(built, lines, 2)
        row_ms = 1e3 * (time.perf_counter() - begin) / 2
        limit = request.get("limit_ns")
        if limit is not None and sum(warm[1]) > limit:
            return {"times": warm[1:]}
        most = int(request.get("most", MOST_ROWS))
        rows = request.get("repeats") or min(most, max(FEWEST_ROWS, int(request["milliseconds"] / row_ms)))
        return {"times": self._rows(built, lines, int(rows))}

    def _rows(self, built: _Built, lines: int, repeats: int) -> list[list[int]]:
        columns = built.kernels + 1
        times = self.place.array(np.zeros(repeats * columns, dtype=np.int64))
        built.function(built.memory, self.sweep, times, lines, repeats)
        rows = times.numpy().reshape(repeats, columns)
        clock = int(np.median(rows[:, -1]))
        kept: list[list[int]] = np.maximum(rows[:, :-1] - clock, 1).tolist()
        return kept

    def forget(self, request: Request) -> Answer:
        """Free a probe."""
        self.built.pop(request["name"], None)
        return {}

    def _probe(self, request: Request) -> PeakProbe:
        """The known kernel, compiled once for a target."""
        text = json.dumps(request["target"])
        if text not in self.clocks:
            self.clocks[text] = PeakProbe(self.place, Target.from_json(request["target"]))
        return self.clocks[text]

    def clock(self, request: Request) -> Answer:
        """How long the known kernel takes where nothing interrupts it."""
        return {"ns": self._probe(request).clock_ns()}

    def peak(self, request: Request) -> Answer:
        """fp32 GFLOP/s of one thread, run by run; of a remote device also its load and stolen time meanwhile."""
        probe, session = self._probe(request), self.session
        before = session and session.load()
        rates = [probe.work / probe.run_ns() for _ in range(int(request["repeats"]))]
        return {"gflops": rates, **(_stolen(before, session.load()) if session and before else {})}

    def bandwidth(self, request: Request) -> Answer:
        """GB/s that one thread reads from an array of `bytes`, run by run."""
        target, size = Target.from_json(request["target"]), int(request["bytes"]) // 1024 * 256
        return {"gb_s": bandwidth_gb_s(self.place, target, size, int(request["repeats"]))}

    def timed(self, request: Request) -> Answer:
        """Run a network with a clock between its kernels: rows of nanoseconds, one column a call."""
        lowered, target = _lowered(request, timed=True)
        functions = {**lowered.kernels, NETWORK: lowered.network}
        function = self.place.function(tvm_api.build(functions, target), NETWORK)
        constants = self.place.array(lowered.constants)
        values = np.random.default_rng(0).uniform(0, 1, (1, *lowered.input)).astype(np.float32)
        given = self.place.array(values)
        result = self.place.array(np.zeros((1, *lowered.output), dtype=np.float32))
        times = self.place.array(np.zeros(len(request["plan"]["calls"]) + 1, dtype=np.int64))
        rows = []
        for _ in range(int(request["repeats"]) + 10):
            function(given, constants, result, times)
            rows.append(np.diff(times.numpy()))
        return {"times": np.stack(rows[10:]).tolist()}

    def untuned(self, request: Request) -> Answer:
        """Run each distinct kernel of a plan as TVM's default pipeline compiles it: ns, by signature."""
        target, plan = Target.from_json(request["target"]), plan_from(request["plan"])
        weights, _ = read_tensors(request["weights"])
        found: dict[str, list[int]] = {}
        for call in plan.calls:
            if call.kernel.signature not in found:
                module = naive_kernel(call, weights)
                executable = tvm_api.build_default(module, target)
                inputs = _random_inputs(module["main"].params)
                seconds = float(request["seconds"])
                found[call.kernel.signature] = self.place.main_ns(executable, inputs, seconds)
        return {"times_ns": found}

    def network(self, request: Request) -> Answer:
        """Run the network in the library at `path` on the device, as often as a median takes: ns, run by run."""
        assert self.session is not None
        machine = self.session.network(request["path"])
        values = np.random.default_rng(0).standard_normal(tuple(request["shape"]), dtype=np.float32)
        given = [self.session.array(values)]
        typical_ms = min(self.session.network_ns(machine, given, 20)) / 1e6
        return {"times": self.session.network_ns(machine, given, runs(typical_ms))}


def _stolen(before: Mapping[str, Any], after: Mapping[str, Any]) -> Answer:
    """The load, and the share of the processors' time that a hypervisor gave to others between two moments."""
    spent = np.subtract(after["counters"], before["counters"])
    stolen = 7  # user, nice, system, idle, iowait, irq, softirq, steal: proc_stat(5)
    share = float(spent[stolen] / spent.sum()) if len(spent) > stolen and spent.sum() > 0 else 0.0
    return {"load": after["load"], "steal": share}


def _rest(request: Request) -> Answer:
    """Wait, for the device to cool down."""
    time.sleep(request["seconds"])
    return {}


def _random_inputs(parameters: Any) -> list[np.ndarray[Any, Any]]:
    shapes = [tuple(int(size) for size in parameter.ty.shape) for parameter in parameters]
    generator = np.random.default_rng(0)
    return [generator.standard_normal(shape, dtype=np.float32) for shape in shapes]


def _parts(request: Request) -> tuple[Plan, dict[str, Any], dict[str, Schedule], Target]:
    target, plan = Target.from_json(request["target"]), plan_from(request["plan"])
    schedules = {signature: read_schedule(text) for signature, text in request["schedules"].items()}
    weights, _ = read_tensors(request["weights"])
    return plan, weights, schedules, target


def _lowered(request: Request, timed: bool) -> tuple[Any, Target]:
    plan, weights, schedules, target = _parts(request)
    return lower(plan, weights, schedules, target, timed=timed), target


def _compile(request: Request) -> Answer:
    """Write the network as a shared library that exports `main`."""
    lowered, target = _lowered(request, timed=False)
    tvm_api.export(compile_network(lowered, target), request["path"], link_for(target))
    return {"workspace_bytes": 4 * lowered.workspace, "constant_bytes": 4 * lowered.constants.size}


def _standalone(request: Request) -> Answer:
    """Write the network's files without TVM's runtime into a folder."""
    plan, weights, schedules, target = _parts(request)
    network = static_network(plan, weights, schedules, target, request["name"])
    view = write_files(network, target, Path(request["folder"]), request["name"], request["title"])
    return {
        "kernels": view.kernels,
        "arena_bytes": view.arena_bytes,
        "constant_bytes": network.constants.nbytes,
        "thread_stacks_bytes": view.thread_stacks_bytes,
    }


def _naive(request: Request) -> Answer:
    """Write the network as TVM's default pipeline compiles it."""
    target, plan = Target.from_json(request["target"]), plan_from(request["plan"])
    weights, _ = read_tensors(request["weights"])
    executable = tvm_api.build_default(naive_module(plan, weights), target)
    tvm_api.export(executable, request["path"], link_for(target))
    return {}


def _cuda(request: Request) -> Answer:
    """Write the network as a shared library whose kernels are for a GPU."""
    target, plan = Target.from_json(request["target"]), plan_from(request["plan"])
    weights, _ = read_tensors(request["weights"])
    executable = tvm_api.build_cuda(naive_module(plan, weights), target, prepare())
    tvm_api.export(executable, request["path"], link_for(target))
    return {}


def serve(requests: IO[str], answers: IO[str]) -> None:
    """Answer until the input ends."""
    worker = Worker()
    for line in requests:
        try:
            answer = {"ok": True, **worker.answer(json.loads(line))}
        except Exception as problem:
            last = traceback.extract_tb(problem.__traceback__)[-1]
            answer = {
                "ok": False,
                "kind": type(problem).__name__,
                "words": " ".join(str(problem).splitlines())[:2000],
                "at": f"{Path(last.filename).name}:{last.lineno}",
                "lost": worker.lost(),
            }
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _take_cores(cores: Sequence[int]) -> None:
    """Keep to these processors, with a thread of TVM's on each."""
    with suppress(OSError, AttributeError):
        os.sched_setaffinity(0, cores)
        spread(cores, lambda: tvm_api.start_threads(len(cores)))


def main() -> None:
    """Keep the answers' channel to ourselves: whatever else prints goes to standard error."""
    end_with_parent()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    if len(sys.argv) > 1:
        _take_cores([int(core) for core in sys.argv[1].split(",")])
    serve(sys.stdin, answers)
