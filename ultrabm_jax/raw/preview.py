"""A mosaic as an image, without any network: to look at it, and as the baseline of camera raw files.

Each colour is the mean of its samples in a small window, gray world balances the channels, a power of 1/2.2 brings the
values to the screen. Neither sharp nor true in colour, and independent of any camera's metadata.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter

WINDOW = {2: 3, 6: 5}  # period of the filter array: side of a window that holds all three colours everywhere


def mosaic_preview(mosaic: np.ndarray, *, period: int) -> np.ndarray:
    """Amplified mosaic (h, w) in canonical phase, 1 at white -> (h, w, 3) float32 in [0, 1]."""
    from ultrabm_jax.raw.cfa import CANONICAL

    pattern = next(p for p in CANONICAL.values() if len(p) == period)
    height, width = mosaic.shape
    colours = np.tile(pattern, (-(-height // period), -(-width // period)))[:height, :width]
    mosaic = np.clip(mosaic, 0, 1).astype(np.float32)
    rgb = np.stack([_spread(mosaic, colours == c, WINDOW[period]) for c in range(3)], axis=-1)
    means = rgb.mean(axis=(0, 1))
    balanced = rgb * (means[1] / np.maximum(means, 1e-8)) if means[1] > 0 else rgb
    return np.clip(balanced, 0, 1) ** np.float32(1 / 2.2)


def _spread(mosaic: np.ndarray, mine: np.ndarray, window: int) -> np.ndarray:
    share = uniform_filter(mine.astype(np.float32), window, mode="mirror")
    return uniform_filter(np.where(mine, mosaic, 0), window, mode="mirror") / np.maximum(share, 1e-6)
