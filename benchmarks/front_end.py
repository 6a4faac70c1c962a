"""Time `onepath check` and `count` as whole processes: a 1,000-line space of 100 blocks, and the spaces that ship.

Run with `python benchmarks/front_end.py --format json`; medians of `--runs` warm runs, in seconds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
BLOCK = """# Block number {0}.
block layer{0}(out, stride = 1) {{
    same = stride == 1 and in.channels == out
    residual when same {{
        choose {{
            wide: conv(in.channels * {1}, 1) -> bn -> relu6
                -> depthwise(choose(3, 5, 7), stride) -> bn -> relu6 -> conv(out, 1) -> bn
          | skip: zero when same
        }}
    }}
}}
"""


def large_space() -> str:
    """The text of a space of 100 blocks, each called once: 1,206 lines."""
    blocks = "".join(BLOCK.format(number, 2 + number % 3) for number in range(100))
    calls = "".join(f"    -> layer{number}(32)\n" for number in range(100))
    return (
        f"{blocks}space large {{\n    input [3, 32, 32]\n    output [10]\n    conv(32, 3) -> bn\n"
        f"{calls}    -> global_pool -> linear(10)\n}}\n"
    )


def seconds(runs: int, *arguments: str) -> float:
    """The median time of a command, after one run that warms the caches."""
    command = [sys.executable, "-m", "runtime", *arguments]
    taken = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken[1:])


def measure(runs: int) -> dict[str, object]:
    """All figures."""
    with tempfile.TemporaryDirectory() as folder:
        large = Path(folder) / "large.space"
        large.write_text(large_space(), encoding="utf-8")
        found: dict[str, object] = {
            "lines": len(large_space().splitlines()),
            "check_large_s": seconds(runs, "check", str(large)),
            "help_s": seconds(runs, "--help"),
            "check_quickstart_s": seconds(runs, "check", str(EXAMPLES / "quickstart.space")),
            "fmt_quickstart_s": seconds(runs, "fmt", "--check", str(EXAMPLES / "quickstart.space")),
        }
    counts = {path.stem: seconds(runs, "count", str(path)) for path in sorted(EXAMPLES.glob("*.space"))}
    return {**found, "count_s": counts}


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=9, help="runs of each command")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    options = parser.parse_args()
    found = measure(options.runs)
    if options.format == "json":
        print(json.dumps(found, indent=2))
    else:
        for name, value in found.items():
            print(f"{name:20} {value}")


if __name__ == "__main__":
    main()
