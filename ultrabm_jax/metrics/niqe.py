"""NIQE (Mittal et al. 2013) as in the authors' release, per image, in float64 on the host; lower is better.

The image is divided into blocks of 96x96 pixels; the remainder at the bottom and the right is ignored. Each block has
18 features at each of two scales: shape and deviation of the normalised image; shape, mean and deviations of its
products with four neighbours, which wrap around the block's edges. The value is the distance between the mean and
covariance of these features and those of pristine images. `niqe_gray` uses MATLAB's rgb2gray, `niqe_y` its rgb2ycbcr,
both rounded to 8 bits.

Blocks without contrast have no features and are left out, as in the release; an image with no other blocks gives nan.
MATLAB's toolbox and scikit-video use other parameters and give other values.
"""

from __future__ import annotations

import functools

import numpy as np

from ultrabm_jax.metrics.host import gray, luma_16_235, per_image
from ultrabm_jax.metrics.images import AssetFolder, check_size
from ultrabm_jax.metrics.matlab_resize import halve
from ultrabm_jax.metrics.scene_statistics import fit_asymmetric, normalised
from ultrabm_jax.storage.assets import asset_path
from ultrabm_jax.typing import Array

BLOCK = 96
NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))


def niqe_gray(restored: Array, *, assets: AssetFolder = None) -> np.ndarray:
    """NIQE of MATLAB's rgb2gray, (b,); `assets` is a folder searched first for the pristine model."""
    return _niqe(gray(restored), assets)


def niqe_y(restored: Array, *, assets: AssetFolder = None) -> np.ndarray:
    """NIQE of 8-bit Y, (b,); `assets` is a folder searched first for the pristine model."""
    return _niqe(luma_16_235(restored), assets)


def _niqe(images: np.ndarray, assets: AssetFolder) -> np.ndarray:
    check_size("NIQE", images, BLOCK)
    mean, covariance = _pristine(str(asset_path("niqe", folder=assets)))
    return per_image(lambda image: _distance(features(image), mean, covariance), images)


def features(image: np.ndarray) -> np.ndarray:
    """(h, w) with values 0..255 -> (blocks, 36)."""
    rows, columns = (side // BLOCK for side in image.shape)
    image = image[: rows * BLOCK, : columns * BLOCK]
    scales = []
    for side in (BLOCK, BLOCK // 2):
        field = normalised(image, edges="repeated")
        blocks = field.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(-1, side, side)
        scales.append(_block_features(blocks))
        image = halve(image)
    return np.concatenate(scales, axis=1)


def _block_features(blocks: np.ndarray) -> np.ndarray:
    """(blocks, side, side) -> (blocks, 18)."""
    flat = (len(blocks), -1)
    own = fit_asymmetric(blocks.reshape(flat))
    values = [own.shape, (own.left + own.right) / 2 * own.width]
    for neighbour in NEIGHBOURS:
        pair = fit_asymmetric((blocks * np.roll(blocks, neighbour, axis=(1, 2))).reshape(flat))
        values += [pair.shape, pair.mean, pair.left * pair.width, pair.right * pair.width]
    return np.stack(values, axis=1)


def _distance(found: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> float:
    """Each feature's mean is over the blocks that have it, the covariance over the blocks that have all features."""
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
