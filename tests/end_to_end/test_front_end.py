"""Whatever a file holds, the whole front end, lowering with it, answers with diagnostics, soon and in little memory."""

from __future__ import annotations

import gc
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from compiler.frontend import examine
from dsl.source import Source
from tests.end_to_end.front_end_worker import LONGEST_SECONDS, examined, watched
from tests.pace import slowdown

ROOT = Path(__file__).resolve().parents[2]
CORPUS = sorted((ROOT / "tests" / "golden" / "front_end").glob("*.space"))
PROCESSES = 2
INPUTS = 20_000


def test_mutated_and_generated_inputs() -> None:
    """No exception but diagnostics, none over a second or 200 MiB: 20,000 inputs from fixed seeds."""
    share = INPUTS // PROCESSES
    module = "tests.end_to_end.front_end_worker"
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", module, str(index * share), str(share)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for index in range(PROCESSES)
    ]
    bad = [json.loads(line) for worker in workers for line in worker.communicate()[0].splitlines()]
    assert bad == [], "keep its input in tests/golden/front_end"
    assert [worker.returncode for worker in workers] == [0] * PROCESSES


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_inputs_that_once_were_bad(path: Path) -> None:
    assert watched(path.read_bytes(), seed=0) is None


def body(text: str, before: str = "") -> str:
    """A file with one space of this body."""
    return f"{before}\nspace s {{ input [3, 8, 8]  output [10]\n{text} -> global_pool -> linear(10) }}"


def block(text: str) -> str:
    return f"block d(n) {{ if n > 0 {{ {text} }} else {{ relu }} }}"


def doubled(first: str, step: str, count: int) -> str:
    """Bindings each of which is made of the one before it."""
    made = [re.sub(r"\ba\b", f"a{i}", step) for i in range(count)]
    lines = [f"a0 = {first}", *(f"a{i} = {value}" for i, value in enumerate(made, 1))]
    return body("\n".join([*lines, f"conv(a{count}, 3)"]))


def many(text: Callable[[int], str], count: int, by: str) -> str:
    return by.join(text(index) for index in range(count))


DECISIONS = many(lambda i: f"d{i} = choose(1, 2, 3, 4, 5, 6, 7, 8)\n", 40, "")
SUM = many(lambda i: f"d{i}", 40, " + ")
HOSTILE = {
    "a huge repeat": (body("repeat 1000000000 { relu }"), "E0304"),
    "nested repeats": (body("repeat 9999 { repeat 9999 { repeat 9999 { relu } } }"), "E0313"),
    "repeats of nothing": (body("repeat 10000 { repeat 10000 { if 1 > 2 { relu } } }"), "E0313"),
    "an elastic repeat": (body("repeat choose(1..1000) { relu }"), None),
    "elastic repeats": (
        body("repeat choose(1..1000) { repeat choose(1..1000) { conv(3, choose(1, 3)) } }"),
        "E0313",
    ),
    "a doubling recursion": (body("d(60)", block("d(n - 1) -> d(n - 1)")), "E0313"),
    "a choosing recursion": (body("d(60)", block("choose { a: d(n - 1) | b: d(n - 1) }")), "E0313"),
    "a merging recursion": (body("d(60)", block("add(d(n - 1), d(n - 1))")), "E0313"),
    "a tied recursion": (body("d(60)", "tied " + block("choose { a: d(n - 1) | b: d(n - 1) }")), "E0313"),
    "a chain of calls": (
        body("b0", many(lambda i: f"block b{i} {{ b{i + 1} }}\n", 100, "") + "block b100 { relu }"),
        "E0314",
    ),
    "a number squared": (doubled("10", "a * a", 60), "E0301"),
    "a decision doubled": (doubled("choose(2, 3)", "a + a", 60), "E0304"),
    "a decision nested": (doubled("choose(2, 3)", "max(a, a + 1)", 60), None),
    "a condition nested": (doubled("choose(2, 3)", "if a > 2 then a + a else a", 60), "E0301"),
    "widths that grow": (body("repeat 60 { conv(in.channels + in.channels * choose(1, 2), 3) }"), "E0301"),
    "a sum of decisions as a condition": (body(f"{DECISIONS}residual when {SUM} == 3 {{ relu }}"), None),
    "sums that are alike": (body(f"{DECISIONS}x = conv({SUM}, 3)\nadd(x, conv({SUM}, 1))"), "E0301"),
    "concatenations": (body("repeat 300 { concat(in, conv(choose(1, 2), 1)) }"), None),
    "nested conditions": (
        body(DECISIONS + many(lambda i: f"if d{i} == 3 {{ ", 40, "") + "relu" + " }" * 40),
        None,
    ),
    "a huge range": (body("conv(choose(1..1000000000), 3)"), "E0307"),
    "a fine range": (body("conv(choose(1..1000 step 1 / 1000000), 3)"), "E0307"),
    "a product of ranges": (body("conv(choose(1..1000) * choose(1..1000), 1)"), "E0301"),
    "sets": (body("x = choose 500 of (1..1000)\nif x contains 3 { relu }"), "E0307"),
    "subsets": (body(f"add choose 1..30 of {{ {many(lambda i: f'l{i}: relu', 30, ' | ')} }}"), "E0307"),
    "a wide merge": (body(f"add {{ {many(lambda i: f'conv({i + 1}, 3)', 2500, ' | ')} }}"), "E0320"),
    "a wide choice": (
        body(f"choose {{ {many(lambda i: f'l{i}: conv({i + 1}, 3)', 1000, ' | ')} }}"),
        "E0321",
    ),
    "many parameters": (
        body(
            f"g({many(lambda i: '1', 4000, ', ')})",
            f"block g({many(lambda i: f'p{i}', 4000, ', ')}) {{ relu }}",
        ),
        None,
    ),
    "many unknown names": (body(many(lambda i: f"unknown{i}", 3000, " -> ")), "E0101"),
    "many spaces": (
        many(lambda i: f"space s{i} {{ input [3, 8, 8]  output [3, 8, 8]  relu }}\n", 1000, ""),
        None,
    ),
    "brackets": (body("conv(" + "(" * 20_000 + "3"), "E0004"),
    "braces": (body("residual { " * 5_000), "E0004"),
    "digits": (body(f"conv({'9' * 5000}, 3)"), "E0005"),
    "an exponent": (body("conv(1e5000000, 3)"), "E0005"),
    "a power of two": (body("conv(" + " * ".join(["1e9"] * 100) + ", 3)"), "E0301"),
    "tokens": (body("relu -> " * 20_000 + "relu"), "E0003"),
    "bytes": ("#" * 300_000, "E0002"),
}
"""Programs that ask for much, and the error that answers them, if one does."""


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_answered_within_a_second(name: str) -> None:
    text, code = HOSTILE[name]
    # What other tests left in memory is not to be gone through while the clock runs.
    gc.collect()
    gc.freeze()
    started = time.process_time()
    analysis = examined(text.encode())
    taken = time.process_time() - started
    errors = (
        {each.code for each in analysis.diagnostics if each.severity == "error"} if analysis else {"E0002"}
    )
    assert errors == ({code} if code else set())
    assert taken < LONGEST_SECONDS or watched(text.encode(), seed=0) is None


def test_files_that_use_each_other() -> None:
    """A circle of files, and a file that uses more than any may, each end in one message."""

    def next_of(path: str) -> Source:
        number = int(Path(path).stem)
        return Source(path, f'use "{(number + 1) % 50}.space"\nblock b{number} {{ relu }}')

    def more(path: str) -> Source:
        return Source(path, f'use "{int(Path(path).stem) + 1}.space"')

    for read, code in ((next_of, "E0150"), (more, "E0152")):
        found = examine(Source("0.space", read("0.space").text), read).diagnostics
        assert [each.code for each in found] == [code]


def large_space() -> str:
    """A space of a hundred blocks and a thousand lines."""
    blocks = [
        f"""block unit{index}(out, kernel, expand, stride = 1) {{
    same = stride == 1 and in.channels == out
    wide = conv(in.channels * expand, 1) -> bn -> relu6
    residual when same {{
        choose {{
            small: wide -> depthwise(kernel, stride) -> bn -> conv(out, 1) -> bn
          | large: wide -> depthwise(choose(5, 7), stride) -> bn -> conv(out, 1) -> bn
        }}
    }}
}}
"""
        for index in range(100)
    ]
    calls = [f"unit{index}({16 + index // 20 * 8}, choose(3, 5), choose(3, 6))" for index in range(100)]
    return "".join(blocks) + body("conv(16, 3) ->\n" + " ->\n".join(calls))


def test_a_large_space_is_checked_within_a_second() -> None:
    text = large_space()
    assert text.count("\n") > 1000
    taken = []
    for _ in range(3):
        started = time.process_time()
        assert examine(Source("large", text)).diagnostics == []
        taken.append(time.process_time() - started)
    assert min(taken) < slowdown()
