"""The parent's side of a benchmark's process: `runtime/bench_worker.py` is the other.

A contender that is not asked for anything is stopped: thread pools that wait by spinning (OpenMP's, a
runtime's own) would otherwise take the cores from the one whose turn it is.
"""

from __future__ import annotations

import json
import os
import signal
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

LOAD_S = 600.0
"""How long a contender may take to convert, compile and load the network, or to predict a whole test split."""
DEVICE_LOAD_S = 120.0
"""How long a remote device may take to begin a session and load the network."""
RUN_S = 120.0
"""How long the runs of one turn may take."""


class BenchProblem(Exception):
    """A contender that cannot be timed: which, and what it said."""


class Contender:
    """A process that has loaded one way to run the network. `load_ms` and `first_run_ms` are its own.

    `device` says which remote device it runs on, where it does.

    `load_ms` has in it what a peer does to the model first: convert it, compile it.
    """

    def __init__(self, name: str, setup: Mapping[str, Any]) -> None:
        """Start it and wait until it has run once.

        Raises:
            BenchProblem: it does not start, or cannot run the network.
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
            ready = self.ask(setup, DEVICE_LOAD_S if setup["kind"] == "device" else LOAD_S)
        except BenchProblem:
            self.__exit__(None, None, None)
            raise
        self.load_ms, self.first_run_ms = float(ready["load_ms"]), float(ready["first_run_ms"])
        self.device: Mapping[str, Any] = ready.get("device", {})

    def ask(self, command: Mapping[str, Any], seconds: float = LOAD_S) -> dict[str, Any]:
        """Its answer to one command; it runs until it has answered, and no longer.

        Raises:
            BenchProblem: it died, gave no answer in time, or could not do it.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        late = threading.Event()

        def give_up() -> None:
            late.set()
            self._process.kill()

        watchdog = threading.Timer(seconds, give_up)
        watchdog.start()
        try:
            self._process.send_signal(signal.SIGCONT)
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            watchdog.cancel()
        if late.is_set():
            raise BenchProblem(f"{self.name} gave no answer within {seconds:g} s")
        if not line:
            raise BenchProblem(f"{self.name} ended with code {self._process.wait()}: {self._last_words()}")
        self._process.send_signal(signal.SIGSTOP)
        answer: dict[str, Any] = json.loads(line)
        if "problem" in answer:
            raise BenchProblem(f"{self.name}: {answer['problem']}")
        return answer

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def run(self, count: int) -> list[float]:
        """The times of `count` runs, in milliseconds."""
        return [float(value) for value in self.ask({"do": "run", "count": count}, RUN_S)["times_ms"]]

    def predict(self, images: Path, folder: Path) -> npt.NDArray[Any]:
        """The scores `[N, classes]` for the images of a `.npy` file."""
        outputs = folder / f"{self.name}.npy"
        self.ask({"do": "predict", "images": str(images), "outputs": str(outputs)})
        result: npt.NDArray[Any] = np.load(outputs)
        return result

    def memory_mb(self) -> float:
        """The most memory it has held, resident."""
        return float(self.ask({"do": "memory"})["peak_mb"])

    def end(self) -> None:
        """End its process, which frees its memory and cores; nothing more can be asked of it."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Contender:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._stack.close()
