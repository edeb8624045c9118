"""Lightness order error (LOE) against the low-light input, per image, on the host; lower is better, 0 is perfect.

L is the largest of R, G, B in 0..255. For each pair of sampled pixels (i, j), an error is counted if L_j >= L_i holds
in one image and not in the other; the value is the number of errors divided by the number of samples.

`loe` (Wang et al. 2013, their code): L is first replaced by its maximum over 15x15 pixels (mirrored edges), then
sampled at every step-th pixel, step = floor(smaller side / 50). `loe_100` (BIMEF's code): 100x100 nearest samples.
Super-resolution, which both definitions refuse because the two images differ in size: `loe_up` is `loe` against the
input enlarged bicubically (Pillow's, 8-bit) to the size of the restored image, and equals `loe` at scale 1; `loe_ref`
is `loe` against the reference. The papers that print LOE for x2 and x4 state neither.

Other implementations sample differently, and their values differ by up to a factor of ten.

Errors are counted, exactly, over the 256x256 joint histogram of the two images instead of all pairs of samples.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import maximum_filter

from ultrabm_jax.errors import UserError
from ultrabm_jax.image.resize import resize
from ultrabm_jax.metrics.host import joint_histogram, per_image, to_uint8
from ultrabm_jax.metrics.images import check_size
from ultrabm_jax.typing import Array

LOCAL, SAMPLES = 15, 50


def loe(restored: Array, low: Array) -> np.ndarray:
    """LOE of local maxima, sampled with a stride, (b,)."""
    a, b = to_uint8(restored).max(axis=-1), to_uint8(low).max(axis=-1)
    check_size("LOE", a, SAMPLES)
    step = min(a.shape[1:]) // SAMPLES
    a, b = (maximum_filter(x, (1, LOCAL, LOCAL), mode="reflect")[:, step - 1 :: step, step - 1 :: step] for x in (a, b))
    return per_image(order_errors, a, b)


def loe_up(restored: Array, low: Array) -> np.ndarray:
    """`loe` against `low` (b, h, w, 3), enlarged to the size of the restored images (b, s h, s w, 3), (b,)."""
    height, width = np.shape(restored)[1:3]
    h, w = np.shape(low)[1:3]
    if height % h or width % w or height // h != width // w:
        raise UserError(f"loe_up: {width}x{height} is not {w}x{h} enlarged by a whole factor")
    images = to_uint8(low).astype(np.float32) / np.float32(255)
    return loe(restored, np.stack([resize(image, (height, width)) for image in images]))


def loe_ref(restored: Array, reference: Array) -> np.ndarray:
    """`loe` against the reference, (b,)."""
    return loe(restored, reference)


def loe_100(restored: Array, low: Array) -> np.ndarray:
    """LOE of 100x100 nearest samples, (b,)."""
    a, b = to_uint8(restored).max(axis=-1), to_uint8(low).max(axis=-1)
    rows, columns = (np.floor(np.linspace(0, side - 1, 100) + 0.5).astype(int) for side in a.shape[1:])
    return per_image(order_errors, a[:, rows[:, None], columns], b[:, rows[:, None], columns])


def order_errors(a: np.ndarray, b: np.ndarray) -> float:
    """Number of pairs of samples whose order differs, divided by the number of samples."""
    joint = joint_histogram(a, b)
    return float(np.sum(joint * (_count_at_least_and_below(joint) + _count_at_least_and_below(joint.T).T)) / a.size)


def _count_at_least_and_below(joint: np.ndarray) -> np.ndarray:
    """For each (i, j), the number of samples whose first value is >= i and whose second value is < j."""
    at_least = np.cumsum(joint[::-1], axis=0)[::-1]
    return np.cumsum(at_least, axis=1) - at_least
