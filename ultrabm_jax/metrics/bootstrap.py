"""Uncertainty of mean scores: percentile bootstrap over images, 10,000 resamples with replacement, fixed seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 10_000
CHUNK = 1000  # resamples at once; the indices of all would need too much memory for a large set


@dataclass(frozen=True)
class Difference:
    """Mean of the differences of paired scores, its 95 % interval (None if it is not defined), and their number."""

    mean: float
    ci95: list[float] | None
    count: int


def known_values(values: Sequence[float | None]) -> np.ndarray:
    """The values that exist and are not nan."""
    return np.array([value for value in values if value is not None and not math.isnan(value)], np.float64)


def interval(values: Sequence[float | None], *, seed: int = 0) -> list[float] | None:
    """The 95 % interval [lower, upper] of the mean; None for fewer than two values, or if one is infinite.

    It does not depend on the order of the values, which an evaluation and the metrics command may list differently.
    """
    known = np.sort(known_values(values))
    if len(known) < 2 or not np.isfinite(known).all():
        return None
    rng = np.random.default_rng(seed)
    means = [known[rng.integers(len(known), size=(CHUNK, len(known)))].mean(axis=1) for _ in range(RESAMPLES // CHUNK)]
    return [float(bound) for bound in np.quantile(np.concatenate(means), [0.025, 0.975])]


def paired_difference(
    values: Sequence[float | None], others: Sequence[float | None], *, seed: int = 0
) -> Difference | None:
    """values - others over the images in which both are finite; None if there is no such image.

    The images are resampled, not the two lists separately: the variation between images, which both methods share,
    cancels. An interval without 0 means that the methods differ on images of this kind.
    """
    pairs = [(a, b) for a, b in zip(values, others, strict=True) if a is not None and b is not None]
    differences = [a - b for a, b in pairs if math.isfinite(a) and math.isfinite(b)]
    if not differences:
        return None
    return Difference(float(np.mean(differences)), interval(differences, seed=seed), len(differences))
