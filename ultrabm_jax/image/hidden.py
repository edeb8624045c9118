"""Replaces the colours of fully transparent pixels, which are arbitrary but would reach the network."""

from __future__ import annotations

import numpy as np


def fill_hidden(rgb: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """(h, w, 3), with the colours where alpha (h, w) is 0 replaced by those of the nearest visible regions.

    Each hidden pixel gets the mean colour of the smallest block of 2^k x 2^k pixels that shows anything, so the result
    does not depend on what was hidden. An image without visible pixels becomes black.
    """
    if alpha is None or alpha.all():
        return rgb
    visible = alpha > 0
    return _filled(np.where(visible[..., None], rgb, 0), visible.astype(np.float32))


def _filled(colour: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Mean colours where `weight` (h, w) is above 0, coarser means elsewhere."""
    known = weight > 0
    if known.all() or weight.size == 1:
        return colour
    height, width = weight.shape
    padding = ((0, height % 2), (0, width % 2))
    total = _block_sum(np.pad(weight, padding))
    sums = _block_sum(np.pad(colour * weight[..., None], (*padding, (0, 0))))
    coarse = _filled(sums / np.maximum(total, 1)[..., None], total)
    enlarged = coarse.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
    return np.where(known[..., None], colour, enlarged)


def _block_sum(values: np.ndarray) -> np.ndarray:
    """(2h, 2w, ...) -> (h, w, ...)."""
    rows = values[::2] + values[1::2]
    return rows[:, ::2] + rows[:, 1::2]
