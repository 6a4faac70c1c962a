"""The parent's side of a benchmark's process: `runtime/bench_worker.py` is the other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

ANSWER_TIMEOUT_S = 600.0


class BenchProblem(Exception):
    """A contender that cannot be timed: which, and what it said."""


class Contender:
    """A process that has loaded one way to run the network. `load_ms` and `first_run_ms` are its own."""

    def __init__(self, name: str, setup: Mapping[str, Any]) -> None:
        """Start it and wait until it has run once.

        Raises:
            BenchProblem: it does not start.
        """
        self.name = name
        self._stack = ExitStack()
        self._errors = self._stack.enter_context(tempfile.TemporaryFile("w+"))  # noqa: SIM115  the stack closes it
        threads = str(setup["threads"])
        limits = {"OMP_NUM_THREADS": threads, "TVM_NUM_THREADS": threads, "TVM_BIND_THREADS": "0"}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "runtime.bench_worker"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True,
            env={**os.environ, **limits},
        )  # fmt: skip
        try:
            ready = self.ask(setup)
        except BenchProblem:
            self.__exit__(None, None, None)
            raise
        self.load_ms, self.first_run_ms = float(ready["load_ms"]), float(ready["first_run_ms"])

    def ask(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Its answer to one command.

        Raises:
            BenchProblem: it died, or gave no answer in `ANSWER_TIMEOUT_S`.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        watchdog = threading.Timer(ANSWER_TIMEOUT_S, self._process.kill)
        watchdog.start()
        try:
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            watchdog.cancel()
        if not line:
            raise BenchProblem(f"{self.name} ended with code {self._process.wait()}: {self._last_words()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def run(self, count: int) -> list[float]:
        """The times of `count` runs, in milliseconds."""
        return [float(value) for value in self.ask({"do": "run", "count": count})["times_ms"]]

    def predict(self, images: Path, folder: Path) -> npt.NDArray[Any]:
        """The scores `[N, classes]` for the images of a `.npy` file."""
        outputs = folder / f"{self.name}.npy"
        self.ask({"do": "predict", "images": str(images), "outputs": str(outputs)})
        result: npt.NDArray[Any] = np.load(outputs)
        return result

    def memory_mb(self) -> float:
        """The most memory it has held, resident."""
        return float(self.ask({"do": "memory"})["peak_mb"])

    def __enter__(self) -> Contender:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._stack.close()
