"""When a measurement counts as disturbed: bounds for its spread and for the time that other machines took."""

from __future__ import annotations

import psutil

NOISY_SPREAD = 1.25
"""p90 / p50, of a known kernel or of what was measured, beyond which a machine counts as noisy."""
NOISY_STEAL = 0.05
"""Share of the processor time taken by other virtual machines beyond which a machine counts as noisy."""


class StealWatch:
    """The share of processor time that the hypervisor gave to others since this was made."""

    def __init__(self) -> None:
        self._before = psutil.cpu_times()

    @property
    def share(self) -> float:
        """The share so far."""
        after, before = psutil.cpu_times(), self._before
        total = sum(after) - sum(before)
        taken = getattr(after, "steal", 0.0) - getattr(before, "steal", 0.0)
        return float(taken / total) if total > 0 else 0.0
