"""BRISQUE (Mittal et al. 2012) as in the authors' release with its LIVE model, in float64 on the host; lower is better.

The features are computed on MATLAB's rgb2gray at two scales: shape and variance of the normalised image (zero padding);
shape, mean and variances of its products with four neighbours, which wrap around the image's edges. The 36 features
are scaled to -1..1 and passed to a support vector regression. Values are about 0 to 100 and may leave that range.

The release passes the features as text, with six decimals before the scaling and six significant digits after it.
`rounded=False` keeps all digits. Other packages use another model.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
from scipy.special import gamma

from ultrabm_jax.errors import UserError
from ultrabm_jax.metrics.host import gray, per_image
from ultrabm_jax.metrics.images import AssetFolder
from ultrabm_jax.metrics.libsvm import Regressor, read_regressor
from ultrabm_jax.metrics.matlab_resize import halve
from ultrabm_jax.metrics.scene_statistics import SHAPES, fit_asymmetric, normalised
from ultrabm_jax.storage.assets import asset_path
from ultrabm_jax.typing import Array

NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (-1, 1))
RATIOS = gamma(1 / SHAPES) * gamma(3 / SHAPES) / gamma(2 / SHAPES) ** 2  # decreases with the shape


def brisque(restored: Array, *, rounded: bool = True, assets: AssetFolder = None) -> np.ndarray:
    """BRISQUE, (b,); `assets` is a folder searched first for the model and the ranges of the features."""
    model = _model(str(asset_path("brisque_model", folder=assets)))
    low, high = _ranges(str(asset_path("brisque_range", folder=assets)))

    def score(image: np.ndarray) -> float:
        found = _as_text(features(image), "%f") if rounded else features(image)
        scaled = -1 + 2 * (found - low) / (high - low)
        return model(_as_text(scaled, "%g") if rounded else scaled)

    return per_image(score, gray(restored))


def features(image: np.ndarray) -> np.ndarray:
    """(h, w) with values 0..255 -> (36,)."""
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
    """Shape and variance of a symmetric generalised Gaussian."""
    variance = float(np.mean(field**2))
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = variance / np.mean(np.abs(field)) ** 2
    return [float(SHAPES[np.argmin(np.abs(ratio - RATIOS))]), variance]


def _as_text(values: np.ndarray, form: str) -> np.ndarray:
    """The values after a round trip through text."""
    return np.array([float(form % value) for value in values])


@functools.lru_cache(maxsize=4)
def _model(path: str) -> Regressor:
    return read_regressor(Path(path))


@functools.lru_cache(maxsize=4)
def _ranges(path: str) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest value of each feature: lines `index lowest highest` of svm-scale, after `x` and `-1 1`."""
    with open(path) as file:
        lines = file.read().split("\n")
    if lines[:2] != ["x", "-1 1"]:
        raise UserError(f"{path} is not a range file of svm-scale for the target range -1..1")
    table = np.array([line.split() for line in lines[2:] if line], np.float64)
    return table[:, 1], table[:, 2]
