"""Measures the images of folders (folders.py) under several protocols, with the reasons for missing scores.

Images are measured as 8-bit images, one at a time in each thread: batches were slower on a CPU
(docs/log/benchmarks.md).
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.image import read_image
from ultrabm_jax.image.colour_space import profile_notes
from ultrabm_jax.image.write import quantise
from ultrabm_jax.metrics.features import SharedFeatures
from ultrabm_jax.metrics.folders import Paths
from ultrabm_jax.metrics.images import AssetFolder
from ultrabm_jax.metrics.ordered_map import ordered_map
from ultrabm_jax.metrics.scoring import Scores, score_all


@dataclass
class FolderScores:
    """The scores of each image, and why some have none."""

    protocols: Sequence[str]
    scores: dict[str, Scores] = field(default_factory=dict)  # image: protocol: value
    problems: dict[str, dict[str, list[str]]] = field(default_factory=dict)  # image: reason: protocols without a score
    unavailable: dict[str, str] = field(default_factory=dict)  # protocol: why no image has a score
    identical: list[str] = field(default_factory=list)  # images equal to their reference
    notes: Counter[str] = field(default_factory=Counter)  # what was converted or left out: number of files

    def add(self, other: FolderScores) -> None:
        """Adds the scores of further images."""
        self.scores |= other.scores
        self.problems |= other.problems
        self.unavailable = other.unavailable | self.unavailable
        self.identical += other.identical
        self.notes.update(other.notes)

    @property
    def complete(self) -> bool:
        """Whether every image has a score under every protocol."""
        return not self.problems and not self.unavailable

    def reason(self, protocol: str) -> str:
        """The reason why no image has a score under `protocol`, else that of the first image without one."""
        if protocol in self.unavailable:
            return self.unavailable[protocol]
        lines = ((image, *item) for image, reasons in self.problems.items() for item in reasons.items())
        return next(f"{reason} (at {image})" for image, reason, protocols in lines if protocol in protocols)

    def values(self, protocol: str) -> np.ndarray:
        """The scores of the images that have one, (n,) float64."""
        column = [scores[protocol] for scores in self.scores.values()]
        return np.array([value for value in column if value is not None], np.float64)


def measure(
    images: Iterable[str],
    methods: Mapping[str, Paths],
    others: Mapping[str, Paths],
    protocols: Sequence[str],
    *,
    assets: AssetFolder = None,
    workers: int = 1,
) -> dict[str, FolderScores]:
    """Measures `images` of each method; `others` are "reference" and "low", if there are any.

    `workers` threads measure as many images at a time. An image that cannot be read or measured is recorded in
    `problems` and does not affect the others. The scores depend neither on `workers` nor on the other methods.
    """
    results = {method: FolderScores(protocols) for method in methods}

    def measure_one(name: str) -> dict[str, FolderScores]:
        known = {method: dict(result.unavailable) for method, result in results.items()}
        return _measure_image(name, methods, others, protocols, known, assets)

    for found in ordered_map(measure_one, images, workers=workers):
        for method, result in found.items():
            results[method].add(result)
    return results


def _measure_image(
    name: str,
    methods: Mapping[str, Paths],
    others: Mapping[str, Paths],
    protocols: Sequence[str],
    unavailable: Mapping[str, dict[str, str]],
    assets: AssetFolder,
) -> dict[str, FolderScores]:
    """One image of all methods, which share the other images and their features."""
    read_others = functools.cache(lambda: {kind: _read(folder[name]) for kind, folder in others.items()})
    shared: SharedFeatures | None = {} if len(methods) > 1 else None
    results = {}
    for method, paths in methods.items():
        result = results[method] = FolderScores(protocols, unavailable=unavailable[method])
        try:
            images = {"restored": _read(paths[name]), **read_others()}
        except UserError as error:
            result.scores[name] = dict.fromkeys(protocols)
            result.problems[name] = {str(error): list(protocols)}
            continue
        for _, notes in images.values():
            result.notes.update(notes)
        arrays = {kind: array for kind, (array, _) in images.items()}
        if "reference" in arrays and np.array_equal(arrays["restored"], arrays["reference"]):
            result.identical.append(name)
        restored = arrays["restored"]
        scores, reasons = score_all(
            protocols, restored, arrays, unavailable=result.unavailable, assets=assets, shared=shared
        )
        result.scores[name] = scores
        for protocol, reason in reasons.items():
            result.problems.setdefault(name, {}).setdefault(reason, []).append(protocol)
    return results


def deviation(values: np.ndarray) -> float:
    """The population standard deviation; nan if a value is infinite."""
    return float(np.std(values)) if np.isfinite(values).all() else math.nan


def _read(path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """((h, w, 3) uint8, the reader's notes)."""
    image = read_image(path)
    return quantise(image.rgb, 8), (*image.notes, *(profile_notes(image.icc) if image.icc else ()))
