"""Reads the metrics of a step once the device has them and averages them.

A step with one that is not finite has changed nothing (guard.py); several in a row stop the run.

A metric is a number, or, where not every step has it, two: its value, and 1 or 0 for whether this step had it. A
compiled program gives the same names at every step; another phase's may differ.
"""

from __future__ import annotations

import collections
import math
from collections.abc import Collection

import jax
import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.logging import logger

Metrics = dict[str, jax.Array]


class NonFiniteError(UserError):
    """A loss term or the gradient was NaN or infinite, in as many steps in a row as a run bears, from `first` on."""

    def __init__(self, message: str, *, first: int) -> None:
        super().__init__(message)
        self.first = first


class Meter:
    """Metrics are read `lag` steps late, so that the host never waits for the device; `flush` reads the rest.

    A non-finite step logs a warning. The last of `max_bad` consecutive ones, or one in `required`, raises
    NonFiniteError.
    """

    def __init__(
        self,
        *,
        lag: int = 4,
        max_bad: int = 1,
        required: Collection[int] = (),
    ) -> None:
        self._lag, self._max_bad, self._required = lag, max_bad, required
        self._bad = 0  # steps in a row
        self._waiting: collections.deque[tuple[int, Metrics]] = collections.deque()
        self._sums: collections.Counter[str] = collections.Counter()
        self._counts: collections.Counter[str] = collections.Counter()

    def add(self, step: int, metrics: Metrics) -> None:
        """Takes the metrics of `step` (1 is the first). Raises NonFiniteError for a step taken earlier."""
        self._waiting.append((step, metrics))
        while len(self._waiting) > self._lag:
            self._read_one()

    def flush(self) -> None:
        """Reads all that waits."""
        while self._waiting:
            self._read_one()

    def averages(self) -> dict[str, float]:
        """Means since the last call, over the steps that had each metric; what none had is left out."""
        self.flush()
        means = {name: self._sums[name] / count for name, count in self._counts.items()}
        self._sums.clear()
        self._counts.clear()
        return means

    def _read_one(self) -> None:
        step, metrics = self._waiting.popleft()
        values = {name: float(np.ravel(value)[0]) for name, value in jax.device_get(metrics).items() if _had(value)}
        bad = [f"{name} = {value}" for name, value in values.items() if not math.isfinite(value)]
        if bad:
            self._left_out(step, bad)
            return
        self._bad = 0
        self._sums.update(values)
        self._counts.update(values.keys())

    def _left_out(self, step: int, bad: list[str]) -> None:
        self._bad += 1
        # The total says nothing that its terms do not.
        named = ", ".join([entry for entry in bad if not entry.startswith("loss/total")] or bad)
        if self._bad >= self._max_bad or step in self._required:
            row = f", the last of {self._bad} steps in a row" if self._bad > 1 else ""
            message = f"step {step}: not finite: {named}{row}; training stopped, the last checkpoint is kept"
            raise NonFiniteError(message, first=step - self._bad + 1)
        logger.warning("step %d: not finite: %s; the step is skipped", step, named)


def _had(value: np.ndarray) -> bool:
    return np.ndim(value) == 0 or bool(value[1])
