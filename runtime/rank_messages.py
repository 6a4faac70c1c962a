"""What processes of a run tell each other beside their work: rank 0 what is next, any of them why it ended.

They go through the store of `torchrun`, which outlives a process that was killed, and which nobody has to listen to.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Any

from torch.distributed.distributed_c10d import Store

POLL_S = 0.1
NEXT, FAILED = "onepath/next/{}", "onepath/failed"


class RankProblem(Exception):
    """Why this process cannot go on with the others."""


class Messages:
    """The messages in `store`: rank 0's, in order, and the first failure of any."""

    def __init__(self, store: Store) -> None:
        self._store, self._count = store, 0

    def tell(self, message: Any) -> None:
        """Rank 0's next message to all others, one that JSON can say."""
        self._store.set(NEXT.format(self._count), json.dumps(message))
        self._count += 1

    def hear(self) -> Any:
        """Rank 0's next message, as soon as it comes.

        Raises:
            RankProblem: it ended, or any other did.
        """
        key = NEXT.format(self._count)
        try:
            while not self._store.check([key]):
                if self._store.check([FAILED]):
                    raise self.why(None)
                time.sleep(POLL_S)
            message = json.loads(self._store.get(key))
        except RuntimeError as problem:
            raise self.why(problem) from None
        self._count += 1
        return message

    def failed(self, rank: int, problem: BaseException) -> None:
        """Leave word of what ended this process; the first one's stays."""
        words = f"{problem}" or type(problem).__name__
        with suppress(RuntimeError):
            self._store.compare_set(FAILED, "", f"rank {rank} ended: {words}")

    def why(self, problem: Exception | None) -> RankProblem:
        """Why another process cannot be reached: its own words, where it left some."""
        with suppress(RuntimeError):
            if self._store.check([FAILED]):
                return RankProblem(self._store.get(FAILED).decode())
        again = "start the same command again, it goes on from the last checkpoint"
        reason, _, _ = f"{problem}".partition(". ")
        return RankProblem(f"another process of this run is gone ({reason}); {again}")
