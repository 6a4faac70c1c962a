"""The process that compiles and runs generated code, so that a crash of it costs one request.

It reads requests as JSON lines from its standard input and answers each with one line. It is started as
`python -m runtime.worker` by `runtime.workers`, lives long, and ends when its input does.
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
from typing import IO, Any

import numpy as np

from compiler.codegen import probe as probes
from compiler.codegen import tvm_api
from compiler.codegen.naive import naive_kernel, naive_module
from compiler.codegen.schedules.template import Schedule, read_schedule
from compiler.codegen.static_network import static_network
from compiler.codegen.to_relax import NETWORK, compile_network, lower
from compiler.kernel import Kernel, parse
from compiler.passes.fuse import KernelCall, Plan
from compiler.target import Target
from runtime.bundle_runner.pinning import spread
from runtime.child import end_with_parent
from runtime.cuda_runtime import prepare
from runtime.files import read_tensors
from runtime.linker import link_for
from runtime.standalone_files import write_files

Request = Mapping[str, Any]
Answer = dict[str, Any]

SWEEP_BYTES = 256 << 20
"""The most memory that is touched between two runs of a kernel."""
FEWEST_ROWS, MOST_ROWS = 8, 60
"""Runs of a candidate: few for a slow one, more for one that ends before the clock has settled."""


def plan_from(fields: Mapping[str, Any]) -> Plan:
    """The plan whose `plan_to` this is."""
    calls = tuple(
        KernelCall(
            parse(call["kernel"]), tuple(call["inputs"]), call["output"], tuple(call["nodes"]), call["unit"]
        )
        for call in fields["calls"]
    )
    types = {name: tuple(shape) for name, shape in fields["types"].items()}
    return Plan(tuple(fields["inputs"]), calls, fields["output"], types)


def plan_to(plan: Plan) -> Answer:
    """A plan as JSON."""
    calls = [
        {
            "kernel": call.kernel.signature,
            "inputs": call.inputs,
            "output": call.output,
            "nodes": call.nodes,
            "unit": call.unit,
        }
        for call in plan.calls
    ]
    return {"inputs": plan.inputs, "calls": calls, "output": plan.output, "types": dict(plan.types)}


@dataclass
class _Built:
    """A compiled probe with the memory that it works on."""

    function: Any
    memory: Any
    kernels: int


@dataclass
class Worker:
    """Answers requests; holds what it built until it is told to forget it."""

    built: dict[str, _Built] = field(default_factory=dict)
    sweep: Any = None

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
            "peak": _peak,
            "bandwidth": _bandwidth,
            "compile": _compile,
            "standalone": _standalone,
            "naive": _naive,
            "cuda": _cuda,
            "timed": _timed,
            "untuned": _untuned,
        }
        return actions[request["do"]](request)

    def build(self, request: Request) -> Answer:
        """Compile a probe of some kernels under a name."""
        target = Target.from_json(request["target"])
        kernels: list[tuple[Kernel, Schedule]] = [
            (parse(signature), read_schedule(text)) for signature, text in request["kernels"]
        ]
        begin = time.perf_counter()
        probe = probes.probe(kernels, target)
        function = tvm_api.build(dict(probe.functions), target)[probes.PROBE]
        memory = np.random.default_rng(0).uniform(-0.05, 0.05, probe.memory).astype(np.float32)
        self.built[request["name"]] = _Built(function, tvm_api.array(memory), len(kernels))
        return {"seconds": time.perf_counter() - begin}

    def measure(self, request: Request) -> Answer:
        """Run a probe: rows of times in nanoseconds, one column a kernel, after two warm-up rows.

        There are `repeats` rows, or as many as fit into `milliseconds`, from `FEWEST_ROWS` to `most`. A probe that is
        slower than `limit_ns` when warm is not run again.
        """
        built, lines = self.built[request["name"]], int(request["lines"])
        if self.sweep is None:
            self.sweep = tvm_api.array(np.zeros(SWEEP_BYTES // 4, dtype=np.float32))
        lines = min(lines, SWEEP_BYTES // 64 // built.kernels)
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
        times = tvm_api.array(np.zeros(repeats * columns, dtype=np.int64))
        built.function(built.memory, self.sweep, times, lines, repeats)
        rows = times.numpy().reshape(repeats, columns)
        clock = int(np.median(rows[:, -1]))
        kept: list[list[int]] = np.maximum(rows[:, :-1] - clock, 1).tolist()
        return kept

    def forget(self, request: Request) -> Answer:
        """Free a probe."""
        self.built.pop(request["name"], None)
        return {}


def _peak(request: Request) -> Answer:
    """fp32 GFLOP/s of one thread, run by run."""
    target = Target.from_json(request["target"])
    function = tvm_api.build(probes.peak(target), target)[probes.PEAK]
    values = tvm_api.array(np.full((probes.CHAINS + 1) * target.lanes, 0.5, dtype=np.float32))
    times, turns = tvm_api.array(np.zeros(1, dtype=np.int64)), 4000
    work = 2.0 * probes.CHAINS * target.lanes * turns
    rates = []
    for _ in range(int(request["repeats"])):
        function(values, times, turns)
        rates.append(work / max(1, int(times.numpy()[0])))
    return {"gflops": rates}


def _bandwidth(request: Request) -> Answer:
    """GB/s that one thread reads from an array of `bytes`, run by run."""
    target, size = Target.from_json(request["target"]), int(request["bytes"]) // 1024 * 256
    function = tvm_api.build(probes.read(target, size), target)[probes.READ]
    data = tvm_api.array(np.ones(size, dtype=np.float32))
    sums = tvm_api.array(np.zeros(256, dtype=np.float32))
    times = tvm_api.array(np.zeros(1, dtype=np.int64))
    rates = []
    for _ in range(int(request["repeats"])):
        function(data, sums, times)
        rates.append(4.0 * size / max(1, int(times.numpy()[0])))
    return {"gb_s": rates}


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
    tvm_api.export(tvm_api.build_default(naive_module(plan, weights), target), request["path"])
    return {}


def _cuda(request: Request) -> Answer:
    """Write the network as a shared library whose kernels are for a GPU."""
    target, plan = Target.from_json(request["target"]), plan_from(request["plan"])
    weights, _ = read_tensors(request["weights"])
    executable = tvm_api.build_cuda(naive_module(plan, weights), target, prepare())
    tvm_api.export(executable, request["path"], link_for(target))
    return {}


def _timed(request: Request) -> Answer:
    """Run a network with a clock between its kernels: rows of nanoseconds, one column a call."""
    lowered, target = _lowered(request, timed=True)
    functions = {**lowered.kernels, NETWORK: lowered.network}
    function = tvm_api.build(functions, target)[NETWORK]
    constants = tvm_api.array(lowered.constants)
    given = tvm_api.array(np.random.default_rng(0).uniform(0, 1, (1, *lowered.input)).astype(np.float32))
    result = tvm_api.array(np.zeros((1, *lowered.output), dtype=np.float32))
    times = tvm_api.array(np.zeros(len(request["plan"]["calls"]) + 1, dtype=np.int64))
    rows = []
    for _ in range(int(request["repeats"]) + 10):
        function(given, constants, result, times)
        rows.append(np.diff(times.numpy()))
    return {"times": np.stack(rows[10:]).tolist()}


def _untuned(request: Request) -> Answer:
    """Run each distinct kernel of a plan as TVM's default pipeline compiles it: ns, by signature."""
    target, plan = Target.from_json(request["target"]), plan_from(request["plan"])
    weights, _ = read_tensors(request["weights"])
    found: dict[str, list[int]] = {}
    for call in plan.calls:
        if call.kernel.signature not in found:
            module = naive_kernel(call, weights)
            run = tvm_api.main_of(tvm_api.build_default(module, target))
            found[call.kernel.signature] = _run_times(run, module["main"].params, float(request["seconds"]))
    return {"times_ns": found}


def _run_times(run: Any, parameters: Any, seconds: float) -> list[int]:
    shapes = [tuple(int(size) for size in parameter.ty.shape) for parameter in parameters]
    generator = np.random.default_rng(0)
    inputs = [tvm_api.array(generator.standard_normal(shape, dtype=np.float32)) for shape in shapes]
    times: list[int] = []
    deadline = time.perf_counter() + seconds
    while len(times) < FEWEST_ROWS or (time.perf_counter() < deadline and len(times) < MOST_ROWS):
        before = time.perf_counter_ns()
        run(*inputs)
        times.append(time.perf_counter_ns() - before)
    return times[2:]


def serve(requests: IO[str], answers: IO[str]) -> None:
    """Answer until the input ends."""
    worker = Worker()
    for line in requests:
        try:
            answer = {"ok": True, **worker.answer(json.loads(line))}
        except Exception as problem:
            last = traceback.extract_tb(problem.__traceback__)[-1]
            text = f"{type(problem).__name__}: {problem}".splitlines()
            answer = {
                "ok": False,
                "error": " ".join(text)[:2000],
                "at": f"{Path(last.filename).name}:{last.lineno}",
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


if __name__ == "__main__":
    main()
