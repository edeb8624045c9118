"""MATLAB's imresize(image, 0.5) in float64, which NIQE, BRISQUE and SSEQ use between scales.

Antialiased bicubic (Keys, a = -1/2, stretched by two), mirrored edges, rows first. A side of n becomes ceil(n / 2).
"""

from __future__ import annotations

import functools

import numpy as np
import scipy.sparse


def halve(image: np.ndarray, *, as_uint8: bool = False) -> np.ndarray:
    """Halves (h, w) float64. `as_uint8`: round and clip to 0..255 after each axis, as MATLAB does with uint8."""
    for _ in range(2):  # each pass halves the rows and transposes
        image = (_halving(image.shape[0]) @ image).T
        image = np.clip(np.floor(image + 0.5), 0, 255) if as_uint8 else image
    return image


@functools.lru_cache(maxsize=32)
def _halving(side: int) -> scipy.sparse.csr_array:
    """The resampling matrix, (ceil(side / 2), side)."""
    new = -(-side // 2)
    centre = 2 * np.arange(new) + 0.5
    taps = np.floor(centre - 4)[:, None] + np.arange(10)
    weights = _cubic((centre[:, None] - taps) / 2)
    weights /= weights.sum(axis=1, keepdims=True)
    mirrored = np.mod(taps.astype(int), 2 * side)
    columns = np.minimum(mirrored, 2 * side - 1 - mirrored)
    rows = np.broadcast_to(np.arange(new)[:, None], columns.shape)
    return scipy.sparse.coo_array((weights.ravel(), (rows.ravel(), columns.ravel())), (new, side)).tocsr()


def _cubic(x: np.ndarray) -> np.ndarray:
    x = np.abs(x)
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))
