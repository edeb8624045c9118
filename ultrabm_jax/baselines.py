"""What costs nothing: the methods that a restoration network has to beat, each ending in a bicubic enlargement.

`function(low, scale)`: low float32 (h, w, 3) in [0, 1] -> float32 (s*h, s*w, 3) in [0, 1]. None of them sees the
reference. Bicubic is Keys' with a = -0.5 (Pillow), on float values, clipped.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ultrabm_jax.inference.resize import resize

TARGET_MEAN = 0.45


def bicubic(low: np.ndarray, scale: int) -> np.ndarray:
    """The dark input, enlarged."""
    return resize(low, (low.shape[0] * scale, low.shape[1] * scale))


def gamma_bicubic(low: np.ndarray, scale: int) -> np.ndarray:
    """low**g with the g that brings the mean over all pixels and channels to 0.45, then enlarged."""
    return bicubic(low ** np.float32(mean_gamma(low, TARGET_MEAN)), scale)


def mean_gamma(low: np.ndarray, target: float) -> float:
    """g in [1/64, 64] with mean(low**g) = target, by bisection of log g: the mean falls as g grows."""
    values, counts = np.unique(low, return_counts=True)
    values, weights = values.astype(np.float64), counts / low.size
    below, above = -6.0, 6.0  # log2 g
    for _ in range(40):
        middle = (below + above) / 2
        if weights @ values**2.0**middle > target:
            below = middle
        else:
            above = middle
    return 2.0 ** ((below + above) / 2)


def equalised_bicubic(low: np.ndarray, scale: int) -> np.ndarray:
    """Histogram equalisation of luma (the usual one, on Y of YCrCb; not per channel, which shifts colors), enlarged."""
    luma = low @ np.array([0.299, 0.587, 0.114], np.float32)
    levels = np.rint(255 * np.clip(luma, 0, 1)).astype(np.uint8)
    gain = equalising_table(levels)[levels] - luma
    # With Cr and Cb kept, the way back from YCrCb adds the change of Y to every channel.
    return bicubic(np.clip(low + gain[..., None], 0, 1), scale)


def equalising_table(levels: np.ndarray) -> np.ndarray:
    """(256,) new values in [0, 1] of 8-bit levels by the rule of OpenCV's equalizeHist: the darkest becomes 0."""
    counts = np.bincount(levels.ravel(), minlength=256)
    darkest = np.flatnonzero(counts)[0]
    rest = levels.size - counts[darkest]
    if rest == 0:  # one flat value, which stays
        return np.arange(256, dtype=np.float32) / 255
    cumulative = np.cumsum(counts) - counts[darkest]
    return (np.rint(255 * np.clip(cumulative, 0, None) / rest) / 255).astype(np.float32)


BASELINES: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "bicubic": bicubic,
    "gamma_bicubic": gamma_bicubic,
    "equalised_bicubic": equalised_bicubic,
}
