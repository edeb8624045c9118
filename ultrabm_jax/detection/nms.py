"""Non-maximum suppression."""

from __future__ import annotations

import numpy as np

from ultrabm_jax.detection.boxes import iou


def suppress(boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray, *, overlap: float) -> np.ndarray:
    """Indices of the boxes that are kept, best score first.

    A box is removed if a better one of its class has an intersection over union of more than `overlap` with it.
    """
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    removed = np.zeros(len(scores), bool)
    for i in order:
        if not removed[i]:
            kept.append(int(i))
            removed |= (classes == classes[i]) & (iou(boxes[i : i + 1], boxes)[0] > overlap)
    return np.array(kept, int)
