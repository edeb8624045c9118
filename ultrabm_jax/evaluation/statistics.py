"""Means over images, their spread and their uncertainty.

    mean    over all images; none where a single value is missing or nan
    std     population standard deviation over images
    ci95    percentile bootstrap of the mean: 10,000 draws of as many images with replacement, fixed seed

A PSNR of identical images is infinite, and so is its mean: the string "inf" in JSON.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ultrabm_jax.evaluation.measured import Measured

DRAWS = 10_000
CHUNK = 1000  # draws at once: their indices would fill the memory for a large set

Value = float | str | None


def summarise(measured: Sequence[Measured], protocols: Sequence[str]) -> dict[str, Any]:
    """The keys of metrics.json that are numbers: those of the first method, the others' under "baselines"."""
    model, *others = measured[0].scores
    columns = {name: [m.scores[model][name] for m in measured] for name in protocols}
    summary = _means(measured, model, others, protocols)
    summary["std"] = {name: spread(values) for name, values in columns.items()}
    summary["ci95"] = {name: interval(values) for name, values in columns.items()}
    groups = sorted({m.group for m in measured if m.group is not None}, key=_group_order)
    if groups:
        parts = {group: [m for m in measured if m.group == group] for group in groups}
        summary["groups"] = {
            group: {"count": len(part), **_means(part, model, others, protocols)} for group, part in parts.items()
        }
    return summary


def mean(values: Sequence[float | None]) -> Value:
    """Stands for all images or is not given."""
    known = _known(values)
    return None if known is None else _json_number(float(np.mean(known)))


def spread(values: Sequence[float | None]) -> Value:
    """None also where a value is infinite."""
    known = _known(values)
    return float(np.std(known)) if known is not None and np.isfinite(known).all() else None


def interval(values: Sequence[float | None], *, seed: int = 0) -> list[float] | None:
    """[lower, upper] of the mean with 95 %; None for one image, missing or infinite values."""
    known = _known(values)
    if known is None or len(known) < 2 or not np.isfinite(known).all():
        return None
    rng = np.random.default_rng(seed)
    means = [known[rng.integers(len(known), size=(CHUNK, len(known)))].mean(axis=1) for _ in range(DRAWS // CHUNK)]
    return [float(bound) for bound in np.quantile(np.concatenate(means), [0.025, 0.975])]


def _means(measured: Sequence[Measured], model: str, others: Sequence[str], protocols: Sequence[str]) -> dict[str, Any]:
    def of(method: str) -> dict[str, Value]:
        return {name: mean([m.scores[method][name] for m in measured]) for name in protocols}

    return {"mean": of(model), "baselines": {name: of(name) for name in others}}


def _known(values: Sequence[float | None]) -> np.ndarray | None:
    known = [value for value in values if value is not None and not math.isnan(value)]
    return np.array(known, np.float64) if known and len(known) == len(values) else None


def _json_number(value: float) -> Value:
    """JSON has no infinity; of infinities that cancel each other there is no mean."""
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else str(value)


def _group_order(group: str) -> tuple[float, str]:
    """Exposure levels from bright to dark, other names after them."""
    try:
        return -float(group), group
    except ValueError:
        return math.inf, group
