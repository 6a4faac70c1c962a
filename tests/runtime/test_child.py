"""A process of ours ends with the one that started it, also while it is stopped or busy."""

from __future__ import annotations

import os
import select
import subprocess
import sys

import pytest

CHILD = """
import os, signal, time
from runtime.child import end_with_parent
end_with_parent()
print(os.getpid(), flush=True)
{state}
"""
PARENT = """
import subprocess, sys
subprocess.Popen([sys.executable, "-c", sys.argv[1]])
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux ends a process with its parent")
@pytest.mark.parametrize(
    "state", ["while True: pass", "os.kill(os.getpid(), signal.SIGSTOP)"], ids=["busy", "stopped"]
)
def test_a_child_ends_with_a_parent_that_is_killed(state: str) -> None:
    command = [sys.executable, "-c", PARENT, CHILD.format(state=state)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        handle = os.pidfd_open(child)
        parent.kill()
    assert select.select([handle], [], [], 10)[0], "it has ended"
    os.close(handle)


@pytest.mark.tvm
@pytest.mark.parametrize("module", ["runtime.worker", "runtime.bench_worker"])
def test_workers_ask_for_it(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    started = __import__(module, fromlist=["main"])

    def asked() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(started, "end_with_parent", asked)
    with pytest.raises(KeyboardInterrupt):
        started.main()


def test_a_worker_has_no_torch() -> None:
    script = "import sys, runtime.worker_process; sys.exit(sys.modules.get('torch') is not None)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_bundles_are_read_without_tvm() -> None:
    script = "import sys, runtime.bundle_archive, runtime.bundle_trust; sys.exit('tvm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
