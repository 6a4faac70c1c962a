"""The price of expected latency: dual ascent until the cap holds."""

from __future__ import annotations

from dataclasses import dataclass

DAMPING = 10.0
"""The price that an excess of 100% adds at once, beside what dual ascent has gathered."""
ASCENT = 250.0
"""Over N architecture steps the rate is 250/N: a lasting excess of 10% brings the price to 5 in N/5 steps."""


@dataclass
class Penalty:
    """The augmented Lagrangian of `E <= cap` (Nocedal and Wright, Numerical Optimization, section 17.4).

    `price` multiplies the relative excess `(E - cap) / cap` in the architecture's loss. It rises while the
    expected latency E is above the cap and falls while it is below, never under 0; so there is no weight to
    guess, and a cap that costs nothing does nothing.
    """

    cap_ms: float | None
    rate: float
    price: float = 0.0

    def weight(self, expected_ms: float) -> float:
        """What a millisecond costs in the loss now: the factor of E's gradient."""
        if self.cap_ms is None:
            return 0.0
        return max(0.0, self.price + DAMPING * self._excess(expected_ms)) / self.cap_ms

    def update(self, expected_ms: float) -> None:
        """One step of dual ascent."""
        if self.cap_ms is not None:
            self.price = max(0.0, self.price + self.rate * self._excess(expected_ms))

    def _excess(self, expected_ms: float) -> float:
        assert self.cap_ms is not None
        return (expected_ms - self.cap_ms) / self.cap_ms
