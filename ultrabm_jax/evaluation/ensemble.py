"""Self-ensemble: the mean over the eight flips and quarter turns of an image, each turned back (Lim et al. 2017).

The literature marks such results with a plus sign. Eight times the time; never to be mixed with single runs.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def ensemble(restore: Callable[[np.ndarray], np.ndarray], low: np.ndarray) -> np.ndarray:
    """(b, h, w, 3) -> mean of `restore` (b, s h, s w, 3) over the eight symmetries, float32."""
    total: np.ndarray | None = None
    for flip in (False, True):
        for turns in range(4):
            turned = np.rot90(low[:, :, ::-1] if flip else low, turns, axes=(1, 2))
            back = np.rot90(restore(np.ascontiguousarray(turned)), -turns, axes=(1, 2))
            back = back[:, :, ::-1] if flip else back
            total = back.astype(np.float32) if total is None else total + back
    assert total is not None
    return total / 8
