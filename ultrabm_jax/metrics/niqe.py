"""NIQE (Mittal et al. 2013) as in the authors' release, per image, in float64 on the host; lower is better.

Whole blocks of 96x96 pixels, what is left over at the bottom and the right is not looked at; 18 features of each at
two scales (shape and deviation of the normalised image; shape, mean and deviations of its products with four
neighbours, taken round the block's edges). Value: the distance between the mean and covariance of these features and
those of pristine images. `niqe_gray` on MATLAB's rgb2gray, `niqe_y` on its rgb2ycbcr, rounded to 8 bit.

Blocks without contrast have no features and are left out, as in the release; an image of nothing else gives nan.
MATLAB's toolbox and scikit-video have other parameters and other values.
"""

from __future__ import annotations

import functools
import os
from typing import Any

import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.metrics.host import each, gray, luma_16_235
from ultrabm_jax.metrics.matlab import halve
from ultrabm_jax.metrics.natural import fit_asymmetric, normalised
from ultrabm_jax.storage.assets import asset_path

Assets = str | os.PathLike[str] | None
BLOCK = 96
NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))


def niqe_gray(restored: Any, *, assets: Assets = None) -> np.ndarray:
    """`assets`: a folder searched first for the pristine model."""
    return _niqe(gray(restored), assets)


def niqe_y(restored: Any, *, assets: Assets = None) -> np.ndarray:
    """`assets`: a folder searched first for the pristine model."""
    return _niqe(luma_16_235(restored), assets)


def _niqe(images: np.ndarray, assets: Assets) -> np.ndarray:
    if min(images.shape[1:]) < BLOCK:
        raise UserError(f"NIQE needs at least {BLOCK} pixels a side, got {images.shape[1]}x{images.shape[2]}")
    mean, covariance = _pristine(str(asset_path("niqe", folder=assets)))
    return each(lambda image: _distance(features(image), mean, covariance), images)


def features(image: np.ndarray) -> np.ndarray:
    """(blocks, 36) of (h, w) with values 0..255."""
    rows, columns = (side // BLOCK for side in image.shape)
    image = image[: rows * BLOCK, : columns * BLOCK]
    scales = []
    for side in (BLOCK, BLOCK // 2):
        field = normalised(image, edges="repeated")
        blocks = field.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(-1, side, side)
        scales.append(_of_blocks(blocks))
        image = halve(image)
    return np.concatenate(scales, axis=1)


def _of_blocks(blocks: np.ndarray) -> np.ndarray:
    """(blocks, side, side) to (blocks, 18)."""
    flat = (len(blocks), -1)
    own = fit_asymmetric(blocks.reshape(flat))
    values = [own.shape, (own.left + own.right) / 2 * own.width]
    for neighbour in NEIGHBOURS:
        pair = fit_asymmetric((blocks * np.roll(blocks, neighbour, axis=(1, 2))).reshape(flat))
        values += [pair.shape, pair.mean, pair.left * pair.width, pair.right * pair.width]
    return np.stack(values, axis=1)


def _distance(found: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> float:
    """Means over the blocks where a feature exists, covariance over those where all do."""
    if np.isnan(found).all(axis=0).any():
        return float("nan")
    whole = found[~np.isnan(found).any(axis=1)]
    centred = whole - whole.mean(axis=0) if len(whole) else whole
    spread = centred.T @ centred / max(len(whole) - 1, 1)
    difference = np.nanmean(found, axis=0) - mean
    return float(np.sqrt(difference @ np.linalg.pinv((covariance + spread) / 2) @ difference))


@functools.lru_cache(maxsize=4)
def _pristine(path: str) -> tuple[np.ndarray, np.ndarray]:
    with np.load(path, allow_pickle=False) as arrays:
        return arrays["mu_pris_param"].ravel(), arrays["cov_pris_param"]
