"""Ticks of axes: (value, label), with as many digits as the labels need to state their values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

Tick = tuple[float, str]
FEWEST = 2  # ticks of a logarithmic axis


def linear_ticks(low: float, high: float) -> list[Tick]:
    """About five round values within [low, high]."""
    raw = (high - low) / 5
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * k for k in (1, 2, 2.5, 5, 10) if unit * k >= raw)
    return labelled([k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)])


def log_ticks(low: float, high: float) -> list[Tick]:
    """1, 2 and 5 of each decade within [low, high], or only the powers of ten if there are many decades.

    A range with fewer than two of them has those of `linear_ticks`.
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    digits = (1, 2, 5) if len(powers) <= 4 else (1,)
    values = [d * 10.0**p for p in powers for d in digits if low <= d * 10.0**p <= high]
    return labelled(values) if len(values) >= FEWEST else linear_ticks(low, high)


def labelled(values: Sequence[float]) -> list[Tick]:
    """Ascending values with labels: three significant digits, and more if that is 1 % of a step or more off."""
    step = min((b - a for a, b in pairwise(values)), default=max(map(abs, values), default=0.0))
    labels: list[str] = []
    for digits in range(3, 16):
        labels = [_label(value, digits) for value in values]
        if all(abs(float(label.replace(",", "")) - v) <= 0.01 * step for label, v in zip(labels, values, strict=True)):
            break
    return list(zip(values, labels, strict=True))


def _label(value: float, digits: int) -> str:
    """1234.5 -> "1,234" for at most 4 digits, not "1.23e+03"."""
    if abs(value) < 1000:
        return f"{value:.{digits}g}"
    return f"{value:,.{max(0, digits - 1 - math.floor(math.log10(abs(value))))}f}"
