"""Detects loss spikes: steps whose loss is many times that of the steps before them."""

from __future__ import annotations

import collections
import statistics

WINDOW = 50  # steps of the running median
MIN_STEPS = 5  # before which nothing is reported
FACTOR = 10.0  # a spike exceeds the median loss by more than FACTOR times the median magnitude
QUIET_STEPS = 100  # after a report


class SpikeDetector:
    """Call `check` once per step, in order. A likelihood loss may be negative, hence the magnitudes."""

    def __init__(self) -> None:
        self._losses: collections.deque[float] = collections.deque(maxlen=WINDOW)
        self._quiet_until = 0

    def check(self, step: int, loss: float) -> str | None:
        """One line on a spike at `step`, or None; at most one line within QUIET_STEPS steps."""
        earlier = list(self._losses)
        self._losses.append(loss)
        if len(earlier) < MIN_STEPS or step < self._quiet_until:
            return None
        median = statistics.median(earlier)
        if loss - median <= FACTOR * statistics.median(map(abs, earlier)):
            return None
        self._quiet_until = step + QUIET_STEPS
        return (
            f"step {step}: the loss spikes to {loss:.4g}; its median over the last {len(earlier)} steps is {median:.4g}"
            " (a longer train.warmup, a smaller train.learning_rate or train.grad_clip may prevent this)"
        )
