"""Converts a mosaic to an image without a network: a preview, and the baseline for camera raw files.

Each colour is the mean of its samples in a small window, gray world balances the channels, and a power of 1/2.2 encodes
the values for display. The result is neither sharp nor true in colour, and does not depend on camera metadata.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter

from ultrabm_jax.raw.cfa import CANONICAL
from ultrabm_jax.raw.levels import tile_to

WINDOW = {"bayer": 3, "xtrans": 5}  # side of a window that holds all three colours everywhere


def mosaic_preview(mosaic: np.ndarray, *, cfa: str) -> np.ndarray:
    """Amplified mosaic (h, w) in canonical phase, 1 at white -> (h, w, 3) float32 in [0, 1]."""
    colours = tile_to(CANONICAL[cfa], mosaic.shape)
    mosaic = np.clip(mosaic, 0, 1).astype(np.float32)
    rgb = np.stack([_local_mean(mosaic, colours == c, WINDOW[cfa]) for c in range(3)], axis=-1)
    means = rgb.mean(axis=(0, 1))
    balanced = rgb * (means[1] / np.maximum(means, 1e-8)) if means[1] > 0 else rgb
    return np.clip(balanced, 0, 1) ** np.float32(1 / 2.2)


def _local_mean(mosaic: np.ndarray, selected: np.ndarray, window: int) -> np.ndarray:
    """The mean of the selected samples in the window around each place."""
    share = uniform_filter(selected.astype(np.float32), window, mode="mirror")
    return uniform_filter(np.where(selected, mosaic, 0), window, mode="mirror") / np.maximum(share, 1e-6)
