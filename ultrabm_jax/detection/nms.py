"""Non-maximum suppression."""

from __future__ import annotations

import numpy as np

from ultrabm_jax.detection.boxes import iou


def suppress(
    boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray, *, overlap: float, limit: int | None = None
) -> np.ndarray:
    """Indices of the boxes that are kept, best score first, at most `limit`.

    A box is removed if a better one of its class has an intersection over union of more than `overlap` with it.
    """
    kept: list[int] = []
    rest = np.argsort(-scores, kind="stable")
    while rest.size and (limit is None or len(kept) < limit):
        best, rest = rest[0], rest[1:]
        kept.append(int(best))
        similar = np.flatnonzero(classes[rest] == classes[best])
        overlaps = iou(boxes[best : best + 1], boxes[rest[similar]])[0]
        rest = np.delete(rest, similar[overlaps > overlap])
    return np.array(kept, int)
