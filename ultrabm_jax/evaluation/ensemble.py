"""Self-ensemble (Lim et al. 2017): the mean over the eight flips and rotations of an image, each undone afterwards.

The literature marks such results with a plus sign. It takes eight times as long; never compare it with single runs.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ultrabm_jax.image.symmetry import flip_rotate, inverse

ORDER = (0, 1, 2, 3, 4, 7, 6, 5)  # of the float32 sum


def ensemble(restore: Callable[[np.ndarray], np.ndarray], low: np.ndarray) -> np.ndarray:
    """(b, h, w, 3) -> mean of `restore` (b, s h, s w, 3) over the eight symmetries, float32."""
    total: np.ndarray | None = None
    for symmetry in ORDER:
        restored = restore(np.ascontiguousarray(_apply(low, symmetry)))
        back = _apply(restored, inverse(symmetry))
        total = back.astype(np.float32) if total is None else total + back
    assert total is not None
    return total / len(ORDER)


def _apply(images: np.ndarray, symmetry: int) -> np.ndarray:
    """The same symmetry for every image of (b, h, w, c)."""
    return np.moveaxis(flip_rotate(np.moveaxis(images, 0, -1), symmetry), -1, 0)
