"""Memory and time of a search step with 3, 7 and 15 candidates a layer, beside training one fixed path.

Memory is the peak of live tensor bytes during a step over what is live before it: every storage that an
operator returns counts from its making to its end. Weights and momenta, idle or not, are shown apart. The
path is the one with the largest activations, in every case. Resident memory of a process that does nothing
else stands beside it.

    python benchmarks/search_memory.py --format json
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from compiler.derive import derive
from compiler.frontend import space_of
from compiler.ir.graph import INPUT, MIXED, SpaceGraph
from compiler.nets.architecture_parameters import draw_uniform, one_hot_gates
from compiler.nets.mixed import MixedOp
from compiler.nets.modules import Run
from compiler.nets.network import build_network
from compiler.nets.streams import stream
from compiler.nets.supernet import Paths, Supernet, build_supernet
from compiler.passes.flatten import flatten
from dsl.settings import Sgd
from dsl.source import Source
from runtime.loop import keep_freed_memory
from runtime.optimiser import Optimiser

KERNELS = {3: "3", 7: "choose(3, 5, 7)", 15: "choose(3, 5, 7, 9, 11, 13, 15)"}
"""The kernels that, times two expansions and with the skip, give so many candidates."""
FORMS = ("one_path", "weight_step", "recompute_step", "two_path_step", "all_paths")
EVERY = 5

TEXT = """
block mbconv(out, kernel, expand, stride) {{
    conv(in.channels * expand, 1) -> bn -> relu6
    -> depthwise(kernel, stride) -> bn -> relu6 -> conv(out, 1) -> bn
}}
block layer(out, stride) {{
    same = stride == 1 and in.channels == out
    residual when same {{
        choose {{
            mbconv(out, kernel = {kernel}, expand = choose(3, 6), stride = stride)
          | skip: zero when same
        }}
    }}
}}
block stage(out, depth, stride) {{
    repeat depth as i {{ layer(out, if i == 1 then stride else 1) }}
}}
space measured {{
    input [1, 28, 28]
    output [10]
    conv(16, 3, stride = 2) -> bn -> relu6
    -> stage(16, depth = 2, stride = 1) -> stage(32, depth = 3, stride = 2) -> stage(48, depth = 3, stride = 1)
    -> conv(128, 1) -> bn -> relu6 -> global_pool -> linear(10)
}}
"""


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of storages made while it is on, and their peak."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self.seen: dict[int, weakref.ref[Any]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        known = {id_of(each) for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)}
        result = func(*args, **(kwargs or {}))
        for each in tree_leaves(result):
            if isinstance(each, Tensor) and id_of(each) not in known:
                self._count(each.untyped_storage())
        return result

    def _count(self, storage: Any) -> None:
        key = storage._cdata
        if key in self.seen:
            return
        size = storage.nbytes()

        def gone(_: Any) -> None:
            self.live -= size
            self.seen.pop(key, None)

        self.seen[key] = weakref.ref(storage, gone)
        self.live += size
        self.peak = max(self.peak, self.live)


def id_of(tensor: Tensor) -> int:
    """What identifies a tensor's storage."""
    return int(tensor.untyped_storage()._cdata)


def peak_bytes(step: Callable[[], None]) -> int:
    """The peak of live bytes over those before the step; the step has run before."""
    step()
    with LiveBytes() as counter:
        step()
    return counter.peak


class Case:
    """A space of so many candidates, its supernet, and the steps that are compared."""

    def __init__(self, candidates: int, batch: int) -> None:
        text = TEXT.format(kernel=KERNELS[candidates])
        self.flat: SpaceGraph = flatten(space_of(Source("measured.space", text)))
        self.supernet = build_supernet(self.flat)
        self.images = torch.rand(batch, 28, 28, 1, generator=stream(0, "images")).permute(0, 3, 1, 2)
        self.labels = torch.randint(0, 10, (batch,), generator=stream(0, "labels"))
        self.optimiser = Optimiser(Sgd(lr=1e-3))
        self.largest = tuple(
            max(range(len(each.labels)), key=lambda i, each=each: sizes(each.labels[i]))  # type: ignore[misc]
            for each in self.supernet.decisions
        )

    def one_path(self, paths: Paths) -> Callable[[], None]:
        """A training step of the derived network."""
        pairs = zip(self.supernet.decisions, paths, strict=True)
        choices = {path: choice for each, pick in pairs for path, choice in each.choices[pick]}
        module, optimiser = build_network(derive(self.flat, choices)), Optimiser(Sgd(lr=1e-3))
        parameters = dict(module.named_parameters())
        return lambda: self._descend(module(self.images), parameters, optimiser)

    def weight_step(self, paths: Paths) -> Callable[[], None]:
        """A weight step of the search."""
        return lambda: self._descend(
            self.supernet.logits(self.images, paths), self.supernet.path_parameters(paths), self.optimiser
        )

    def _descend(self, logits: Tensor, parameters: dict[str, Any], optimiser: Optimiser) -> None:
        loss = F.cross_entropy(logits, self.labels)
        gradients = torch.autograd.grad(loss, list(parameters.values()))
        optimiser.step(parameters, dict(zip(parameters, gradients, strict=True)), 1e-3)

    def recompute_step(self, paths: Paths) -> Callable[[], None]:
        """An architecture step that compares all candidates."""
        return self._architecture_step(paths, [range(size) for size in self.supernet.candidates])

    def two_path_step(self, paths: Paths) -> Callable[[], None]:
        """An architecture step that compares two candidates of each decision."""
        sizes_of = self.supernet.candidates
        pairs = [sorted({pick, (pick + 1) % size}) for pick, size in zip(paths, sizes_of, strict=True)]
        return self._architecture_step(paths, pairs)

    def _architecture_step(self, paths: Paths, compared: Sequence[Sequence[int]]) -> Callable[[], None]:
        def step() -> None:
            gates = one_hot_gates(compared, paths)
            logits = self.supernet.gated_logits(self.images, paths, compared, gates)
            torch.autograd.grad(F.cross_entropy(logits, self.labels), gates)

        return step

    def all_paths(self, paths: Paths) -> Callable[[], None]:
        """An architecture step that keeps every path: what DARTS does."""

        def step() -> None:
            gates = [torch.full((size,), 1 / size, requires_grad=True) for size in self.supernet.candidates]
            logits = keeping_all(self.supernet, self.flat, self.images, gates)
            torch.autograd.grad(F.cross_entropy(logits, self.labels), gates)

        return step

    @property
    def idle_bytes(self) -> dict[str, int]:
        """Weights, momenta and statistics of the supernet, and of the path alone."""
        state = self.supernet.state_dict()
        path = self.supernet.network_tensors(self.largest)
        momenta = [each for name, each in self.supernet.named_parameters()]
        return {
            "supernet_weights_bytes": total(state.values()),
            "supernet_momenta_bytes": total(momenta),
            "path_weights_bytes": total(path.values()),
        }


def sizes(label: str) -> tuple[int, int]:
    """The expansion and the kernel of a candidate, 0 for the skip."""
    numbers = dict(part.split("=") for part in label.split() if "=" in part)
    return int(numbers.get("expand", 0)), int(numbers.get("kernel", 0))


def total(tensors: Any) -> int:
    """Bytes of all of them."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def keeping_all(supernet: Supernet, flat: SpaceGraph, images: Tensor, gates: Sequence[Tensor]) -> Tensor:
    """A pass along all paths, weighted by their gates, by plain autograd."""
    weights = {decision.name: gate for decision, gate in zip(supernet.decisions, gates, strict=True)}
    modules, run = {step.name: step.module for step in supernet.steps}, Run("observe")
    values = {}
    for node in flat.graph.nodes:
        operands = [values[name] for name in node.inputs]
        module = modules.get(node.name)
        if node.op == INPUT:
            values[node.name] = images
        elif node.op == MIXED and isinstance(module, MixedOp):
            outputs = [path.compute(tuple(operands), run) for path in module.paths]
            gate = weights[module.decision]
            values[node.name] = sum(gate[i] * output for i, output in enumerate(outputs))  # type: ignore[assignment]
        else:
            assert module is not None
            values[node.name] = module(operands, run)
    return values[flat.graph.output]


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
"""With other work on the machine, processor time on one thread is what can be trusted."""


def seconds(step: Callable[[], None], repeats: int, clock: Callable[[], float]) -> float:
    """The median time of a step."""
    step()
    times = []
    for _ in range(repeats):
        start = clock()
        step()
        times.append(clock() - start)
    return sorted(times)[repeats // 2]


def times(case: Case, repeats: int, clock: Callable[[], float], paths: int = 10) -> dict[str, float]:
    """Median step times, means over the same drawn paths, interleaved; and the ratios of a cycle."""
    drawn = [draw_uniform(case.supernet.candidates, stream(0, "path", i)) for i in range(paths)]
    names = ("one_path", "weight_step", "recompute_step", "two_path_step")
    sums = dict.fromkeys(names, 0.0)
    for each in drawn:
        for name in names:
            sums[name] += seconds(getattr(case, name)(each), repeats, clock) / paths
    cycle = {f"{name}_s": value for name, value in sums.items()}
    for form in ("recompute", "two_path"):
        spent = EVERY * sums["weight_step"] + sums[f"{form}_step"]
        cycle[f"cycle_ratio_{form}"] = spent / (EVERY * sums["one_path"])
    return cycle


def resident_bytes(candidates: int, form: str, batch: int) -> int:
    """The peak resident memory of a process that does one form's step three times."""
    command = [
        sys.executable,
        __file__,
        "--alone",
        form,
        "--candidates",
        str(candidates),
        "--batch",
        str(batch),
    ]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def alone(candidates: int, form: str, batch: int) -> int:
    """What the child process of `resident_bytes` does."""
    case = Case(candidates, batch)
    step = getattr(case, form)(case.largest)
    for _ in range(3):
        step()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(candidates: int, batch: int, repeats: int, clock: str, resident: bool) -> dict[str, Any]:
    """All figures for so many candidates."""
    case = Case(candidates, batch)
    peaks = {form: peak_bytes(getattr(case, form)(case.largest)) for form in FORMS}
    row: dict[str, Any] = {"candidates": candidates, "largest_path": list(case.largest)}
    row["peak_bytes"] = peaks
    row["ratio"] = {form: peaks[form] / peaks["one_path"] for form in FORMS}
    row["idle"] = case.idle_bytes
    if resident:
        row["resident_bytes"] = {form: resident_bytes(candidates, form, batch) for form in FORMS}
    if repeats:
        row["time"] = {"clock": clock, **times(case, repeats, CLOCKS[clock])}
    return row


def show(rows: list[dict[str, Any]]) -> None:
    """A table for people."""
    for row in rows:
        idle = row["idle"]
        print(
            f"{row['candidates']} candidates a layer (idle weights and momenta: "
            f"{(idle['supernet_weights_bytes'] + idle['supernet_momenta_bytes']) / 2**20:.1f} MiB)"
        )
        for form in FORMS:
            print(f"  {form:15} {row['peak_bytes'][form] / 2**20:8.1f} MiB  x{row['ratio'][form]:.3f}")
        for name, value in row.get("time", {}).items():
            print(f"  {name:25} {value if isinstance(value, str) else format(value, '.4f')}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--format", choices=("full", "json"), default="full")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3, help="timed repeats of a step; 0: no times")
    parser.add_argument("--clock", choices=tuple(CLOCKS), default="wall")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--resident", action="store_true", help="resident memory too, a process for each")
    parser.add_argument("--candidates", type=int, nargs="*", default=list(KERNELS), choices=list(KERNELS))
    parser.add_argument("--alone", choices=FORMS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(options.threads)
    if options.alone:
        print(alone(options.candidates[0], options.alone, options.batch))
        return
    rows = [
        measure(each, options.batch, options.repeats, options.clock, options.resident)
        for each in options.candidates
    ]
    if options.format == "json":
        machine = {"threads": torch.get_num_threads(), "torch": torch.__version__}
        print(json.dumps({"batch": options.batch, **machine, "rows": rows}, indent=2))
    else:
        show(rows)


if __name__ == "__main__":
    main()
