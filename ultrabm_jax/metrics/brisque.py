"""BRISQUE (Mittal et al. 2012) as in the authors' release with its LIVE model, in float64 on the host; lower is better.

Of MATLAB's rgb2gray at two scales: shape and variance of the normalised image (zeros beyond the edges); shape, mean
and variances of its products with four neighbours, taken round the image's edges. The 36 features are scaled to -1..1
and go to a support vector regression. Values lie about 0 to 100 and may leave that range.

The release hands the features over as text: six decimals before the scaling, six significant digits after it, and a
feature that scales to zero is left out. `rounded=False` keeps all digits. Other packages carry another model.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import gamma

from ultrabm_jax.errors import UserError
from ultrabm_jax.metrics.host import each, gray
from ultrabm_jax.metrics.matlab import halve
from ultrabm_jax.metrics.natural import SHAPES, fit_asymmetric, normalised
from ultrabm_jax.metrics.svm import Regressor, read_regressor
from ultrabm_jax.storage.assets import asset_path

NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (-1, 1))
RATIOS = gamma(1 / SHAPES) * gamma(3 / SHAPES) / gamma(2 / SHAPES) ** 2  # falls as the shape rises


def brisque(restored: Any, *, rounded: bool = True, assets: str | os.PathLike[str] | None = None) -> np.ndarray:
    """`assets`: a folder searched first for the model and the ranges of the features."""
    model = _model(str(asset_path("brisque_model", folder=assets)))
    low, high = _ranges(str(asset_path("brisque_range", folder=assets)))

    def score(image: np.ndarray) -> float:
        found = _as_text(features(image), "%f") if rounded else features(image)
        scaled = -1 + 2 * (found - low) / (high - low)
        return model(_as_text(scaled, "%g") if rounded else scaled)

    return each(score, gray(restored))


def features(image: np.ndarray) -> np.ndarray:
    """(36,) of (h, w) with values 0..255."""
    values: list[float] = []
    for _ in range(2):
        field = normalised(image, edges="zero")
        values += _symmetric(field)
        for neighbour in NEIGHBOURS:
            pair = fit_asymmetric((field * np.roll(field, neighbour, axis=(0, 1))).ravel())
            values += [float(v) for v in (pair.shape, pair.mean, pair.left**2, pair.right**2)]
        image = halve(image)
    return np.array(values)


def _symmetric(field: np.ndarray) -> list[float]:
    """Shape and variance of a generalised Gaussian."""
    variance = float(np.mean(field**2))
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = variance / np.mean(np.abs(field)) ** 2
    return [float(SHAPES[np.argmin(np.abs(ratio - RATIOS))]), variance]


def _as_text(values: np.ndarray, form: str) -> np.ndarray:
    return np.array([float(form % value) for value in values])


@functools.lru_cache(maxsize=4)
def _model(path: str) -> Regressor:
    return read_regressor(Path(path))


@functools.lru_cache(maxsize=4)
def _ranges(path: str) -> tuple[np.ndarray, np.ndarray]:
    """The lines `index lowest highest` of svm-scale's file, after `x` and the target range -1 1."""
    with open(path) as file:
        lines = file.read().split("\n")
    if lines[:2] != ["x", "-1 1"]:
        raise UserError(f"{path} is not a file of ranges for -1..1 as svm-scale writes it")
    table = np.array([line.split() for line in lines[2:] if line], np.float64)
    return table[:, 1], table[:, 2]
