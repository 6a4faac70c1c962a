"""The price of expected latency: a cap that closes in, and dual ascent until it holds."""

from __future__ import annotations

from dataclasses import dataclass

DAMPING = 10.0
"""The price that an excess of 100% adds at once, beside what dual ascent has gathered."""
ASCENT = 100.0
"""Over N architecture steps the rate is 100/N: a lasting excess of 10% brings the price to 5 in N/2 steps."""
CLOSING = 0.5
"""The share of the steps over which the cap in force moves from where the search begins to the cap itself."""


@dataclass
class Penalty:
    """The augmented Lagrangian of `E <= cap` (Nocedal and Wright, Numerical Optimization, section 17.4).

    `price` multiplies the relative excess of the expected latency E over the cap in the architecture's loss.
    It rises while E is above and falls while it is below, never under 0; so there is no weight to guess, and
    a cap that costs nothing does nothing. The cap in force begins at the first E and reaches `cap_ms` after
    half of the steps: a cap far below the space's mean would else settle the decisions by latency alone,
    before the paths have learnt anything.
    """

    cap_ms: float | None
    steps: int
    done: int = 0
    start_ms: float = 0.0
    price: float = 0.0

    def weight(self, expected_ms: float) -> float:
        """What a millisecond costs in the loss now: the factor of E's gradient."""
        if self.cap_ms is None:
            return 0.0
        return max(0.0, self.price + DAMPING * self._excess(expected_ms)) / self.cap_ms

    def update(self, expected_ms: float) -> None:
        """One step of dual ascent."""
        if self.cap_ms is not None:
            self.price = max(0.0, self.price + ASCENT / max(1, self.steps) * self._excess(expected_ms))
            self.start_ms = self.start_ms if self.done else expected_ms
            self.done += 1

    def _excess(self, expected_ms: float) -> float:
        assert self.cap_ms is not None
        start_ms = self.start_ms if self.done else expected_ms
        gone = min(1.0, self.done / max(1.0, CLOSING * self.steps))
        in_force = max(self.cap_ms, start_ms + (self.cap_ms - start_ms) * gone)
        return (expected_ms - in_force) / self.cap_ms
