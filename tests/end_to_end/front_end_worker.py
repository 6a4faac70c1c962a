"""A process that gives inputs to the whole front end and watches the clock, the memory and what is raised.

Run as `python -m tests.end_to_end.front_end_worker START COUNT`; writes one JSON object a bad input.
"""

from __future__ import annotations

import json
import random
import resource
import sys
import time
import traceback
from pathlib import Path

from compiler.counting import Counter, TooEntangled
from compiler.frontend import Analysis, examine
from compiler.ir.verify import verify_space
from dsl.codes import CODES
from dsl.diagnostic import DiagnosticError, has_errors
from dsl.format import format_source
from dsl.parser import parsed
from dsl.reading import decode
from dsl.render import Form, render
from dsl.source import Source
from tests.end_to_end.mutations import bytes_changed, tokens_changed
from tests.end_to_end.programs import Programs
from tests.pace import slowdown

FOLDER = Path(__file__).resolve().parents[2] / "examples"
LONGEST_SECONDS = 1.0
MOST_BYTES = 200 * 2**20
WHOLE = ("mobilenet_v2", "nas_bench_201", "nas_bench_macro", "quickstart", "se_mobile", "small_vit")
FORMS: tuple[Form, ...] = ("full", "concise", "json", "sarif", "github")


def texts() -> list[str]:
    """The spaces that ship: some whole, of the others each item for itself."""
    found = []
    for path in sorted(FOLDER.glob("*.space")):
        text = path.read_text(encoding="utf-8")
        items = parsed(Source(path.name, text)).items
        found += [text] if path.stem in WHOLE else [item.span.text for item in items]
    return found


def made(seed: int, of: list[str]) -> bytes:
    """The input of a seed: half of them programs from the grammar, the rest mutated spaces."""
    if seed % 2 == 0:
        return Programs(seed, wrong=(0.0, 0.02, 0.1)[seed // 2 % 3]).file().encode()
    if seed % 4 == 1:
        return tokens_changed(of[seed // 4 % len(of)], seed)
    return bytes_changed(of, seed)


def examined(data: bytes) -> Analysis | None:
    """What the front end says of some bytes; no file is there to be used."""

    def absent(path: str) -> Source:
        raise FileNotFoundError(2, "No such file or directory", path)

    try:
        return examine(decode("fuzz.space", data), absent)
    except DiagnosticError:
        return None


def follow(analysis: Analysis, data: bytes, seed: int) -> None:
    """Whatever else is done with an answer: shown, formatted, verified, counted, sampled."""
    found = analysis.diagnostics
    assert all(each.code in CODES for each in found)
    render(found, FORMS[seed % len(FORMS)], colour=seed % 2 == 0).encode()
    if has_errors(found) or analysis.file is None:
        return
    text = format_source(decode("fuzz.space", data))
    assert format_source(Source("again", text)) == text
    assert parsed(Source("again", text)) == parsed(decode("fuzz.space", data))
    for graph in analysis.graphs.values():
        counter = Counter(verify_space(graph))
        try:
            counter.size()
            counter.sample(random.Random(seed))
        except TooEntangled:
            pass


def watched(data: bytes, seed: int) -> str | None:
    """What is bad about how an input is answered, or None."""
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    try:
        analysis = examined(data)
        taken = time.process_time() - started
        if analysis is not None:
            follow(analysis, data, seed)
    except Exception:
        return traceback.format_exc(limit=-4)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    if taken > LONGEST_SECONDS and _again(data) > LONGEST_SECONDS * slowdown():
        return f"took {taken:.1f} s"
    return f"took {grown >> 20} MiB more" if grown > MOST_BYTES else None


def _again(data: bytes) -> float:
    """The seconds of a second run: other programs of the machine may have slowed the first."""
    started = time.process_time()
    examined(data)
    return time.process_time() - started


def main(start: int, count: int) -> None:
    """Answer for the inputs of some seeds."""
    of = texts()
    for seed in range(start, start + count):
        data = made(seed, of)
        problem = watched(data, seed)
        if problem is not None:
            bad = {"seed": seed, "input": data.decode("utf-8", "replace"), "problem": problem}
            print(json.dumps(bad), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
