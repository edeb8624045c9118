"""Reads the metrics of earlier steps, averages them, and detects steps that are not finite.

A step with a non-finite metric has changed nothing (guard.py); several in a row stop the run.

A metric is a scalar, or (2,) where not every step has it: its value, and 1 or 0 for whether this step has it. A
compiled program has the same metrics at every step; those of another phase may differ.
"""

from __future__ import annotations

import collections
import math
from collections.abc import Collection, Mapping

import jax
import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.logging import logger
from ultrabm_jax.training.guard import VALID
from ultrabm_jax.training.spikes import SpikeDetector
from ultrabm_jax.typing import Metrics


class NonFiniteError(UserError):
    """A loss or gradient was NaN or infinite in too many consecutive steps, the first of which is `first`."""

    def __init__(self, message: str, *, first: int) -> None:
        super().__init__(message)
        self.first = first


class InvalidBatchError(Exception):
    """A process could not load its part of a batch; the state is that of the step before. The same in all processes."""


class Meter:
    """Averages metrics, reading them `lag` steps late so that the host never waits for the device.

    A loss spike (spikes.py) logs a warning, and so does a non-finite step. The last of `max_nonfinite` consecutive
    non-finite steps, or one in `required`, raises NonFiniteError.
    """

    def __init__(self, *, lag: int = 4, max_nonfinite: int = 1, required: Collection[int] = ()) -> None:
        self._lag, self._max_nonfinite, self._required = lag, max_nonfinite, required
        self._nonfinite = 0  # consecutive steps
        self._pending: collections.deque[tuple[int, Metrics]] = collections.deque()
        self._sums: collections.Counter[str] = collections.Counter()
        self._counts: collections.Counter[str] = collections.Counter()
        self._spikes, self._names = SpikeDetector(), frozenset[str]()

    def add(self, step: int, metrics: Metrics) -> None:
        """Queues the metrics of `step` (from 1). Raises NonFiniteError or InvalidBatchError for an earlier step."""
        self._pending.append((step, metrics))
        while len(self._pending) > self._lag:
            self._read_one()

    def flush(self) -> None:
        """Reads all queued metrics."""
        while self._pending:
            self._read_one()

    def averages(self) -> dict[str, float]:
        """Means since the last call, each over the steps that had the metric; omits metrics that no step had."""
        self.flush()
        means = {name: self._sums[name] / count for name, count in self._counts.items()}
        self._sums.clear()
        self._counts.clear()
        return means

    def _read_one(self) -> None:
        step, metrics = self._pending.popleft()
        if VALID in metrics:
            metrics = dict(metrics)
            if not metrics.pop(VALID):
                raise InvalidBatchError(f"step {step}")
        values = {name: float(np.ravel(value)[0]) for name, value in jax.device_get(metrics).items() if _present(value)}
        nonfinite = [f"{name} = {value}" for name, value in values.items() if not math.isfinite(value)]
        if nonfinite:
            self._skip(step, nonfinite)
            return
        self._nonfinite = 0
        self._check_spike(step, frozenset(metrics), values)
        self._sums.update(values)
        self._counts.update(values.keys())

    def _check_spike(self, step: int, names: frozenset[str], values: Mapping[str, float]) -> None:
        if names != self._names:  # another phase, whose losses cannot be compared
            self._spikes, self._names = SpikeDetector(), names
        spike = self._spikes.check(step, values["loss/total"]) if "loss/total" in values else None
        if spike is not None:
            logger.warning("%s", spike)

    def _skip(self, step: int, nonfinite: list[str]) -> None:
        self._nonfinite += 1
        if any(entry.startswith("loss/") and not entry.startswith("loss/total") for entry in nonfinite):
            nonfinite = [entry for entry in nonfinite if not entry.startswith("loss/total")]  # a term explains it
        named = ", ".join(nonfinite)
        if self._nonfinite >= self._max_nonfinite or step in self._required:
            row = f", the last of {self._nonfinite} steps in a row" if self._nonfinite > 1 else ""
            message = f"step {step}: not finite: {named}{row}; training stopped, the last checkpoint is kept"
            raise NonFiniteError(message, first=step - self._nonfinite + 1)
        logger.warning("step %d: not finite: %s; the step is skipped", step, named)


def _present(value: np.ndarray) -> bool:
    return np.ndim(value) == 0 or bool(value[1])
