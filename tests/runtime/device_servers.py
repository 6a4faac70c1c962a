"""A tracker and servers of devices as processes of their own, for tests; one of them can be made slow."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from runtime.devices.tracker import Address, Connection, RemoteDevice

ROOT = Path(__file__).resolve().parents[2]
START_S = 300.0
FACTOR = 1000
"""How much slower the clock of a slow device says that it is: no busy machine is that slow."""
CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t id, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *)) dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(id, now);
    if (!failed && id == CLOCK_MONOTONIC && access("FLAG", F_OK) == 0) {
        __int128 time = ((__int128) now->tv_sec * 1000000000 + now->tv_nsec) * FACTOR;
        now->tv_sec = (time_t) (time / 1000000000);
        now->tv_nsec = (long) (time % 1000000000);
    }
    return failed;
}
"""


class Process:
    """A command of ours in a process group of its own, whose messages are read until one holds a text."""

    def __init__(
        self,
        *arguments: str,
        program: Sequence[str] = ("-P", "-m", "runtime", "device"),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.lines: list[str] = []
        command = [sys.executable, *program, *arguments]
        self._process = subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
        )  # fmt: skip

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def until(self, text: str) -> str:
        """The line that holds a text, or the end of all it said."""
        assert self._process.stderr is not None
        late = threading.Timer(START_S, self.kill)
        late.start()
        try:
            for line in self._process.stderr:
                self.lines.append(line)
                if text in line:
                    return line
        finally:
            late.cancel()
        raise AssertionError(f"it never said {text!r}, but {''.join(self.lines)}")

    def child(self) -> psutil.Process:
        """The process that it started, waited for."""
        deadline, pause = time.monotonic() + START_S, threading.Event()
        while not (children := psutil.Process(self.pid).children()):
            assert time.monotonic() < deadline, "it starts no process"
            pause.wait(0.02)
        return children[0]

    def wait(self) -> int:
        """Its exit code."""
        return self._process.wait(START_S)

    def signal(self, number: int) -> None:
        """Send a signal to it and all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def kill(self) -> None:
        """End it and all that it started."""
        self.signal(signal.SIGKILL)


class Lab:
    """A tracker, and the servers that register with it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.servers = folder, dict[str, Process]()
        self.address = Address("127.0.0.1", free_port())
        self.tracker = Process("tracker", "--port", str(self.address.port))
        self.tracker.until("listens")

    def start(self, *names: str, key: str = "box", slow: str = "") -> None:
        """Serve devices of these names; the clock of the one called `slow` follows the file of `make_slow`."""
        for name in names:
            environment = {"LD_PRELOAD": str(self._clock())} if name == slow else {}
            place = ("--key", key, "--name", name, "--tracker", str(self.address))
            self.servers[name] = Process("serve", *place, environment=environment)
        for name in names:
            self.servers[name].until("knows this device")

    def _clock(self) -> Path:
        source, library = self.folder / "clock.c", self.folder / "clock.so"
        source.write_text(CLOCK.replace("FLAG", str(self.folder / "slow")).replace("FACTOR", str(FACTOR)))
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
        return library

    def make_slow(self) -> None:
        """From now on the slow device is."""
        (self.folder / "slow").touch()

    def until_free(self) -> None:
        """Wait until no session runs on any device."""
        deadline, pause = time.monotonic() + START_S, threading.Event()
        with Connection(self.address) as connection:
            while any(each.busy for each in connection.devices()):
                assert time.monotonic() < deadline, "a session goes on"
                pause.wait(0.05)

    def device(self, key: str = "box") -> RemoteDevice:
        """The devices of a key."""
        return RemoteDevice(key, self.address)

    def end(self) -> None:
        """End all."""
        for process in (*self.servers.values(), self.tracker):
            process.kill()
            process.wait()


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@contextmanager
def lab(folder: Path) -> Iterator[Lab]:
    """A tracker for the block."""
    made = Lab(folder)
    try:
        yield made
    finally:
        made.end()
