"""Lightness order error against the low-light input, per image, on the host; lower is better, 0 keeps all orders.

L is the largest of R, G, B in 0..255. For each pair of sampled pixels (i, j), an error is counted where L_j >= L_i
holds in one image and not in the other; the value is the count over i and j divided by the number of samples.

`loe` (Wang et al. 2013, their code): L is first replaced by its largest value in 15x15 pixels (mirrored edges), then
sampled at every step-th pixel, step = floor(smaller side / 50). `loe_100` (BIMEF's code): 100x100 nearest samples.
Other code samples otherwise and gets values that differ by a factor of ten.

Counting goes over the 256x256 joint histogram of the two images instead of all pairs of samples; it is exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import maximum_filter

from ultrabm_jax.errors import UserError
from ultrabm_jax.metrics.host import each, to_uint8

LOCAL, SAMPLES = 15, 50


def loe(restored: Any, low: Any) -> np.ndarray:
    a, b = to_uint8(restored).max(axis=-1), to_uint8(low).max(axis=-1)
    step = min(a.shape[1:]) // SAMPLES
    if step < 1:
        raise UserError(f"LOE needs at least {SAMPLES} pixels a side, got {a.shape[1]}x{a.shape[2]}")
    a, b = (maximum_filter(x, (1, LOCAL, LOCAL), mode="reflect")[:, step - 1 :: step, step - 1 :: step] for x in (a, b))
    return each(order_errors, a, b)


def loe_100(restored: Any, low: Any) -> np.ndarray:
    a, b = to_uint8(restored).max(axis=-1), to_uint8(low).max(axis=-1)
    rows, columns = (np.floor(np.linspace(0, side - 1, 100) + 0.5).astype(int) for side in a.shape[1:])
    return each(order_errors, a[:, rows[:, None], columns], b[:, rows[:, None], columns])


def order_errors(a: np.ndarray, b: np.ndarray) -> float:
    """Pairs of samples whose order differs, per sample."""
    joint = np.bincount(256 * a.ravel().astype(np.int64) + b.ravel(), minlength=256 * 256).reshape(256, 256)
    return float(np.sum(joint * (_at_least_and_below(joint) + _at_least_and_below(joint.T).T)) / a.size)


def _at_least_and_below(joint: np.ndarray) -> np.ndarray:
    """For each (i, j) the number of samples with first value >= i and second value < j."""
    at_least = np.cumsum(joint[::-1], axis=0)[::-1]
    return np.cumsum(at_least, axis=1) - at_least
