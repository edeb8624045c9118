"""Resizing on the host by Pillow, antialiased when it shrinks: `resize` for float images, `shrink` for uint8 ones."""

from __future__ import annotations

import numpy as np
from PIL import Image

BICUBIC = Image.Resampling.BICUBIC
LANCZOS = Image.Resampling.LANCZOS


def resize(image: np.ndarray, size: tuple[int, int], method: Image.Resampling = BICUBIC) -> np.ndarray:
    """(h, w[, c]) float32 in [0, 1] -> (*size[, c]) float32; size is (h, w).

    Computed in float32, one channel at a time (Pillow's mode F), and clipped to [0, 1] because both filters overshoot.
    """
    height, width = size

    def one(channel: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(channel.astype(np.float32)).resize((width, height), method))

    resized = one(image) if image.ndim == 2 else np.stack([one(c) for c in np.moveaxis(image, -1, 0)], axis=-1)
    return np.clip(resized, 0.0, 1.0)


def shrink(image: np.ndarray, scale: int) -> np.ndarray:
    """(h, w, 3) uint8 -> (h // s, w // s, 3), antialiased bicubic, in Pillow's 8-bit arithmetic.

    The right and bottom borders are first cropped to a multiple of `scale`.
    """
    height, width = image.shape[0] // scale, image.shape[1] // scale
    whole = Image.fromarray(image[: height * scale, : width * scale])
    # One axis after the other: Pillow itself chooses the order by the shape, so a crop could round differently.
    narrow = whole.resize((width, whole.height), Image.Resampling.BICUBIC)
    return np.array(narrow.resize((width, height), Image.Resampling.BICUBIC))
