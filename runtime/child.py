"""What a process of ours does for the one that started it."""

from __future__ import annotations

import ctypes
import signal
import sys


def end_with_parent() -> None:
    """Have Linux end this process when its parent ends, however that happens.

    A stopped process would outlive a killed parent, and a busy one would go on until its next answer and disturb
    what is measured next. Elsewhere nothing is done: processes end when their input does.
    """
    if sys.platform == "linux":
        set_signal_on_parents_death = 1
        ctypes.CDLL(None).prctl(set_signal_on_parents_death, signal.SIGKILL)
