"""Compile a network, compare its answers with a reference's, and only then write its bundle."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from string import ascii_lowercase
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from compiler.codegen.schedules import default_schedules
from compiler.codegen.schedules.template import Schedule
from compiler.codegen.tvm_api import llvm_version
from compiler.ir.graph import Network
from compiler.latency import LatencyTable
from compiler.passes.fuse import Plan
from compiler.target import Target
from dsl.suggest import counted
from runtime import device
from runtime.bench import cores
from runtime.bench_contender import Contender
from runtime.benchmark import Latency, latency, relative_error
from runtime.bundle import Bundle, BundleTarget, Manifest, NetworkOutput, write_bundle
from runtime.cubin import cubins
from runtime.emulated import NotEmulated, emulated_answers, emulator_for
from runtime.features import needed_flags
from runtime.linker import link_for
from runtime.measure import compile_cuda, compile_plan
from runtime.noise import StealWatch
from runtime.nvrtc import require as require_nvrtc
from runtime.targets import cannot_run
from runtime.workers import WorkerFailed

Array = np.ndarray[Any, Any]
UNCHANGED = ("identity", "dropout", "flatten")
"""Operators whose values are those of their operand."""
BOUNDED = ("sigmoid", "hsigmoid", "tanh")
"""Activations behind which a vector's values are no logits."""
WARM_UP_RUNS, MOST_RUNS = 20, 2000
CHECK_LIMIT = 1e-4
"""The largest relative error between a bundle and its reference for the bundle to be written."""


class WrongAnswers(Exception):
    """The compiled network does not compute what its reference does."""


@dataclass(frozen=True)
class Build:
    """What a bundle is compiled from: kernels, their weights by `<node>.<part>`, a schedule for each.

    Kernels for a GPU have no schedules of ours.
    """

    plan: Plan
    weights: Mapping[str, Array]
    schedules: Mapping[str, Schedule]
    target: Target

    @classmethod
    def untuned(cls, plan: Plan, weights: Mapping[str, Array], target: Target) -> Build:
        """Each kernel with its default schedule.

        Raises:
            Unsupported: a kernel that no template writes.
        """
        schedules = {} if target.kind == "cuda" else default_schedules(plan.kernels, target)
        return cls(plan, weights, schedules, target)


@dataclass(frozen=True)
class Reference:
    """What the network must answer by another program: `inputs` `[N, …]` and its `outputs` `[N, …]`."""

    name: str
    inputs: Array
    outputs: Array


def write_checked(folder: Path, build: Build, manifest: Manifest, reference: Reference) -> Bundle:
    """Compile, check and write the bundle in `folder`.

    Code of another machine is checked under its emulator; where that is not installed or cannot run it, it is written
    unchecked, and says so.

    Raises:
        NoCompiler, NoNvrtc: nothing here links for the target, or compiles for its GPU.
        WorkerFailed: it cannot be compiled.
        BenchProblem: it cannot be run.
        WrongAnswers: it disagrees with the reference; nothing is written.
        FileProblem: the place cannot be written.
    """
    link_for(build.target)
    with TemporaryDirectory(prefix="onepath-") as scratch:
        model = Path(scratch) / "model.so"
        manifest = replace(manifest, gpu=_compile(build, model))
        unchecked = write_bundle(Path(scratch) / "bundle", model, manifest)
        check = _check(unchecked, build.target, reference)
        return write_bundle(folder, model, replace(manifest, numerical_check=check))


def _compile(build: Build, model: Path) -> dict[str, Any]:
    """Write the shared library; what code for a GPU is in it, by its own headers."""
    if build.target.kind != "cuda":
        compile_plan(build.plan, build.weights, build.schedules, build.target, model)
        return {}
    require_nvrtc()
    compile_cuda(build.plan, build.weights, build.target, model)
    return _gpu_code(model.read_bytes(), build.target)


def _gpu_code(library: bytes, target: Target) -> dict[str, Any]:
    """What the manifest says of a library's code for a GPU, which must be of the architecture asked.

    A cubin names it without its suffix: code for `sm_90a` says `sm_90`.
    """
    found = cubins(library)
    if [each.arch for each in found] != [target.arch.rstrip(ascii_lowercase)]:
        held = ", ".join(each.arch for each in found) or "none"
        raise WorkerFailed(
            f"the compiler was asked for code of {target.arch} and made code of {held}; nothing was written"
        )
    return {"kind": target.kind, "arch": target.arch, "kernels": list(found[0].kernels)}


def _check(bundle: Bundle, target: Target, reference: Reference) -> dict[str, Any]:
    """What the manifest says of its numerical check, made here or under the target's emulator."""
    elsewhere = cannot_run(target)
    if elsewhere is None:
        setup, shape = {"kind": "bundle", "folder": str(bundle.folder)}, bundle.manifest.input.shape
        return compared(answers(setup, shape, target.threads, reference.inputs), reference)
    try:
        emulator = emulator_for(target)
        outputs = emulated_answers(bundle, emulator, reference.inputs)
    except NotEmulated as reason:
        return {"images": 0, "reason": f"not run here: {elsewhere}; {reason}"}
    return {**compared(outputs, reference), "by": emulator.name}


def compared(outputs: Array, reference: Reference) -> dict[str, Any]:
    """The largest relative error of an input, over its largest output.

    Raises:
        WrongAnswers: it is more than `CHECK_LIMIT`, or some output is no finite number.
    """
    count = len(reference.inputs)
    expected = reference.outputs.reshape(count, -1)
    _check_finite(reference.name, expected)
    _check_finite("the compiled network", outputs)
    error = relative_error(outputs.reshape(count, -1), expected)
    if not error <= CHECK_LIMIT:
        raise WrongAnswers(
            f"the compiled network differs from that of {reference.name} by {error:.2e}, more than {CHECK_LIMIT:g}; "
            "nothing was written"
        )
    return {
        "reference": reference.name,
        "images": count,
        "max_relative_error": float(f"{error:.1e}"),
        "limit": CHECK_LIMIT,
    }


def _check_finite(whose: str, outputs: Array) -> None:
    lost = int(np.count_nonzero(~np.isfinite(outputs)))
    if lost:
        raise WrongAnswers(
            f"{counted(lost, 'output')} of {outputs.size} of {whose} {'is' if lost == 1 else 'are'} infinite or no "
            "number, for ordinary inputs: nothing can be compared, and nothing was written"
        )


def timed(bundle: Bundle) -> Latency:
    """The latency of a bundle that this machine runs, on the threads it was built for, in about a second.

    Raises:
        BenchProblem: it cannot be run.
    """
    target, shape = bundle.manifest.target, bundle.manifest.input.shape
    place = {"threads": target.threads, "cores": cores(target.threads), "shape": shape}
    with Contender("bundle", {"kind": "bundle", "folder": str(bundle.folder.absolute()), **place}) as it:
        typical_ms, watch = float(np.median(it.run(WARM_UP_RUNS))), StealWatch()
        times_ms = it.run(int(min(MOST_RUNS, max(WARM_UP_RUNS, 1000 / typical_ms))))
        return latency(times_ms, watch.share)


def answers(setup: Mapping[str, Any], shape: tuple[int, ...], threads: int, inputs: Array) -> Array:
    """The outputs of a contender, in a process of its own, for `inputs` `[N, …]`; `shape` has the batch, 1.

    Raises:
        BenchProblem: it cannot be loaded or run.
    """
    common = {"threads": threads, "cores": cores(threads), "shape": shape}
    with (
        TemporaryDirectory(prefix="onepath-") as scratch,
        Contender(setup["kind"], {**setup, **common}) as it,
    ):
        path = Path(scratch) / "inputs.npy"
        np.save(path, inputs)
        return it.predict(path, Path(scratch))


def torch_answers(network: Network, weights: Mapping[str, Any], inputs: Array) -> Array:
    """The outputs of a network by PyTorch, in evaluation mode; `weights` are arrays or tensors by key."""
    import torch

    from compiler.nets.network import build_network

    module = build_network(network).eval()
    module.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in weights.items()})
    with torch.no_grad():
        outputs: Array = module(torch.from_numpy(inputs)).numpy()
    return outputs


def bundle_target(target: Target) -> BundleTarget:
    """What the manifest says of the target.

    Code that this machine runs is checked before it is written; what this processor lacks was then not used (a
    virtual machine hides some features of the processor it is named for).
    """
    features = needed_flags(target)
    if cannot_run(target) is None:
        features &= device.cpu_flags()
    return BundleTarget(
        target.name, target.cpu, target.triple, target.machine, target.threads, tuple(sorted(features))
    )


def compiled_with(*packages: str) -> dict[str, str]:
    """The versions of the compiler, and of what else the numbers of a bundle depend on."""
    names = ("numpy", *packages)
    return {"llvm": llvm_version(), **{name: importlib.metadata.version(name) for name in names}}


def predicted(table: LatencyTable | None, plan: Plan) -> dict[str, Any]:
    """What the table says of the kernels that a bundle holds, the same for the same table; nothing without one."""
    if table is None:
        return {}
    latency_ms = table.predict(call.kernel.signature for call in plan.calls).latency_ms
    return {"latency_predicted_ms": latency_ms, "records": table.records}


def output_kind(network: Network) -> NetworkOutput:
    """What the output is, by the graph: a vector of several values is a classifier's, unless its end says otherwise.

    It is of probabilities behind softmax, and of logits behind whatever does not bound each value by itself.
    """
    graph = network.graph
    if len(graph.type.sizes) != 1 or graph.type.sizes[0] < 2:
        return "values"
    node = graph[graph.output]
    while node.op in UNCHANGED:
        node = graph[node.inputs[0]]
    if node.op == "softmax":
        return "probabilities" if len(node.type.sizes) == 1 else "values"
    return "values" if node.op in BOUNDED else "logits"
