"""Down-sampling to 1/2 and 1/4 of the size, for DRGN's image pyramid (equation 10).

The paper names a Gaussian sampling kernel and gives no width. "gaussian": sigma 1.6 with 13 taps, as in the authors'
MSPFN paper, reflected at the border, then every second or fourth pixel. "box": the mean of 2x2 or 4x4 pixels, as in
MSPFN's code.
"""

from __future__ import annotations

import functools
import operator

import jax
import numpy as np

from ultrabm_jax.layers.canvas import pad_by_reflection
from ultrabm_jax.layers.pooling import mean_pool

SIGMA, TAPS = 1.6, 13
KINDS = ("gaussian", "box")


def downsample(x: jax.Array, factor: int, *, kind: str = "gaussian") -> jax.Array:
    """(b, h, w, c) -> (b, h / factor, w / factor, c); factor 1 returns x unchanged."""
    if factor == 1:
        return x
    if kind == "box":
        return mean_pool(x, factor)
    for axis in (1, 2):
        x = _downsample_axis(x, factor, axis)
    return x


def _downsample_axis(x: jax.Array, factor: int, axis: int) -> jax.Array:
    padded, size = pad_by_reflection(x, TAPS // 2, TAPS // 2, axis=axis), x.shape[axis]
    weights = np.exp(-((np.arange(TAPS) - TAPS // 2) ** 2) / (2 * SIGMA**2))
    weights /= weights.sum()
    taps = (float(weight) * jax.lax.slice_in_dim(padded, i, i + size, factor, axis) for i, weight in enumerate(weights))
    return functools.reduce(operator.add, taps)
