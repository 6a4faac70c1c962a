"""How fast work goes, and how long the rest of it takes: from recent steps of this run alone.

What was done before the run was interrupted, planning, and steps of another kind say nothing of that.
"""

from __future__ import annotations

from collections import deque

WINDOW_S = 30.0
"""Steps that were done longer ago do not count: a machine that others share changes its pace."""
LEAST_S = 1.0
"""No pace is told from less time than this."""
_SPACING_S = 0.5


class Pace:
    """The pace of the steps that are counted by `mark`."""

    def __init__(self) -> None:
        self._kind = ""
        self._marks: deque[tuple[float, float]] = deque()

    def mark(self, now_s: float, done: float, kind: str = "") -> None:
        """`done` steps are done at a time; steps of another kind, or fewer than before, begin anew."""
        if self._marks and (kind != self._kind or done < self._marks[-1][1]):
            self._marks.clear()
        self._kind = kind
        if len(self._marks) > 1 and now_s - self._marks[-2][0] < _SPACING_S:
            self._marks.pop()
        self._marks.append((now_s, done))
        while len(self._marks) > 2 and now_s - self._marks[1][0] >= WINDOW_S:
            self._marks.popleft()

    def left_s(self, total: float) -> float | None:
        """The seconds that the rest up to `total` takes at this pace; None where too little was seen."""
        if not self._marks:
            return None
        (begin_s, begun), (now_s, done) = self._marks[0], self._marks[-1]
        if now_s - begin_s < LEAST_S or done <= begun:
            return None
        return max(0.0, total - done) * (now_s - begin_s) / (done - begun)


def duration(seconds: float) -> str:
    """A time that is left, as exact as it is known: `40 s`, `12 min`, `3 h 20 min`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"
