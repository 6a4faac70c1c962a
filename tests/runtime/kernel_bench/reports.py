"""A kernel report with numbers made up, and limits that are easy to reckon with."""

from __future__ import annotations

from runtime.kernel_bench.elsewhere import SHORT
from runtime.kernel_bench.limits import Level, Limits
from runtime.kernel_bench.rows import KernelBench, KernelReport

LIMITS = Limits(
    1, 100.0, (Level("L2", 1 << 20, 100.0), Level("L3", 32 << 20, 50.0), Level("memory", 0, 10.0))
)


def row(name: str, time_us: float, **changes: object) -> KernelBench:
    given = {
        "name": name, "signature": f"f32 nhwc (1) {name}(%0)", "schedule": "x", "calls": 1, "time_us": time_us,
        "gflops": 40.0, "bytes_moved": 4096, "intensity": 8.0, "bound_us": 8.0, "limit": "arithmetic",
        "share_of_bound": 8.0 / time_us, "default_us": time_us,
    }  # fmt: skip
    return KernelBench(**{**given, **changes})


def report() -> KernelReport:
    kernels = (
        row("conv", 10.0, calls=3, default_us=15.0, layers_us={"onnxruntime": 12.0, "oneDNN": 11.5}),
        row("pool", 2.0, gflops=0.0, intensity=0.0, bound_us=1.5, limit="L2", share_of_bound=0.75),
        row("linear", 20.0, gflops=5.0, intensity=0.5, limit="L3", share_of_bound=0.4,
            layers_us={"onnxruntime": 21.0}, layers_absent={"oneDNN": SHORT},
            reason="its code: 19 us even by itself with all in its caches"),
    )  # fmt: skip
    return KernelReport(
        "tiny", 1, LIMITS, kernels, {"processor": "x"}, {"noisy": False}, 0.3,
        others={"onnxruntime": "1.31.1", "oneDNN": "of torch 2.13.0"}, elsewhere_us={"onnxruntime": 7.0},
        left_out={"ncnn": "not installed: pip install ncnn"},
    )  # fmt: skip
