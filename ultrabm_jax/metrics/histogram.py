"""Brightness distribution of an image: the histogram of Y, and its smoothed curve as in DRGN's Figure 6.

Y is MATLAB's rgb2ycbcr of 8-bit RGB, rounded: 16 (black) to 235 (white).
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from ultrabm_jax.errors import UserError
from ultrabm_jax.metrics.host import luma_16_235
from ultrabm_jax.typing import Array

LEVELS = 256


def y_histogram(images: Array, *, bins: int = LEVELS) -> np.ndarray:
    """Counts (b, bins) of images (b, h, w, 3), in bins of equal width over 0..255."""
    if bins < 1 or LEVELS % bins:
        raise UserError(f"bins={bins} does not divide {LEVELS} levels evenly")
    index = luma_16_235(images).astype(np.int64) * bins // LEVELS
    return np.stack([np.bincount(image.ravel(), minlength=bins) for image in index])


def y_curve(images: Array, *, sigma: float = 2.0) -> np.ndarray:
    """The fraction of pixels at each level, (b, 256), smoothed by a Gaussian of `sigma` levels; sums to 1."""
    counts = y_histogram(images)
    return gaussian_filter1d(counts / counts.sum(axis=1, keepdims=True), sigma, axis=1, mode="reflect")
