"""Means over images, their spread and their uncertainty.

    mean    over all images; None if a single value is missing or nan
    std     population standard deviation over images
    ci95    percentile bootstrap of the mean: 10,000 resamples of the images with replacement, fixed seed

The PSNR of identical images is infinite, and so is its mean: the string "inf" in JSON.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

import numpy as np

from ultrabm_jax.evaluation.image_result import ImageResult
from ultrabm_jax.report.summary import GroupSummary, Scores, Value

RESAMPLES = 10_000
CHUNK = 1000  # resamples at once; the indices of all would need too much memory for a large set


class Statistics(TypedDict):
    """The keys of metrics.json that are computed from scores."""

    mean: Scores
    std: Mapping[str, float | None]
    ci95: Mapping[str, list[float] | None]
    baselines: Mapping[str, Scores]
    groups: NotRequired[Mapping[str, GroupSummary]]


def summarise(results: Sequence[ImageResult], protocols: Sequence[str]) -> Statistics:
    """The statistics of the first method; the means of the other methods are "baselines"."""
    model = next(iter(results[0].scores))
    columns = {name: [result.scores[model][name] for result in results] for name in protocols}
    part = _summarise_part(results, protocols)
    statistics: Statistics = {
        "mean": part["mean"],
        "baselines": part["baselines"],
        "std": {name: deviation(values) for name, values in columns.items()},
        "ci95": {name: interval(values) for name, values in columns.items()},
    }
    groups = sorted({result.group for result in results if result.group is not None}, key=_group_order)
    if groups:
        parts = {group: [result for result in results if result.group == group] for group in groups}
        statistics["groups"] = {group: _summarise_part(part, protocols) for group, part in parts.items()}
    return statistics


def mean(values: Sequence[float | None]) -> Value:
    """The mean over all images; None if a value is missing."""
    known = _known(values)
    return None if known is None else _json_number(float(np.mean(known)))


def deviation(values: Sequence[float | None]) -> float | None:
    """The population standard deviation; None if a value is missing or infinite."""
    known = _known(values)
    return float(np.std(known)) if known is not None and np.isfinite(known).all() else None


def interval(values: Sequence[float | None], *, seed: int = 0) -> list[float] | None:
    """The 95 % interval [lower, upper] of the mean; None for a single image, missing or infinite values."""
    known = _known(values)
    if known is None or len(known) < 2 or not np.isfinite(known).all():
        return None
    rng = np.random.default_rng(seed)
    means = [known[rng.integers(len(known), size=(CHUNK, len(known)))].mean(axis=1) for _ in range(RESAMPLES // CHUNK)]
    return [float(bound) for bound in np.quantile(np.concatenate(means), [0.025, 0.975])]


def _summarise_part(results: Sequence[ImageResult], protocols: Sequence[str]) -> GroupSummary:
    def means(method: str) -> dict[str, Value]:
        return {name: mean([result.scores[method][name] for result in results]) for name in protocols}

    model, *others = results[0].scores
    return {"count": len(results), "mean": means(model), "baselines": {name: means(name) for name in others}}


def _known(values: Sequence[float | None]) -> np.ndarray | None:
    """The values as an array; None if there are none or one is missing or nan."""
    known = [value for value in values if value is not None and not math.isnan(value)]
    return np.array(known, np.float64) if known and len(known) == len(values) else None


def _json_number(value: float) -> Value:
    """JSON has no infinity, so it is a string; the mean of opposite infinities (nan) is None."""
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else str(value)


def _group_order(group: str) -> tuple[float, str]:
    """Exposure levels from bright to dark, then other names."""
    try:
        return -float(group), group
    except ValueError:
        return math.inf, group
