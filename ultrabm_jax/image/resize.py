"""Resizing on the host, antialiased when it shrinks, at float precision (Pillow's mode F, one channel at a time)."""

from __future__ import annotations

import numpy as np
from PIL import Image

BICUBIC = Image.Resampling.BICUBIC
LANCZOS = Image.Resampling.LANCZOS


def resize(image: np.ndarray, size: tuple[int, int], method: Image.Resampling = BICUBIC) -> np.ndarray:
    """(h, w[, c]) float32 -> (*size[, c]) float32, clipped to [0, 1] as both filters overshoot; size is (h, w)."""
    height, width = size

    def one(channel: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(channel.astype(np.float32)).resize((width, height), method))

    resized = one(image) if image.ndim == 2 else np.stack([one(c) for c in np.moveaxis(image, -1, 0)], axis=-1)
    return np.clip(resized, 0.0, 1.0)
