"""What the metrics in float64 NumPy share: whole numbers 0..255 of images (b, h, w, 3), uint8 or float in [0,1].

NIQE, BRISQUE and SSEQ lose all their digits in float32, which is what JAX computes in; they are called at evaluation
only and run on the host.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ultrabm_jax.metrics.images import matlab_gray, to_8bit


def to_uint8(image: Any) -> np.ndarray:
    """Round half to even of 255 clip(x, 0, 1)."""
    return np.asarray(to_8bit(image)).astype(np.uint8)


def gray(image: Any) -> np.ndarray:
    """MATLAB's rgb2gray, (b, h, w), whole numbers in float64."""
    return np.asarray(matlab_gray(to_8bit(image)), np.float64)[..., 0]


def luma_16_235(image: Any) -> np.ndarray:
    """Y of MATLAB's rgb2ycbcr on uint8, rounded half up, 16..235, (b, h, w), whole numbers in float64."""
    thousandths = to_uint8(image).astype(np.int64) @ np.array([65_481, 128_553, 24_966])
    return (16 + (thousandths + 127_500) // 255_000).astype(np.float64)


def each(function: Callable[..., float], *batches: np.ndarray) -> np.ndarray:
    """The function of each image of a batch, (b,) float64."""
    return np.array([function(*images) for images in zip(*batches, strict=True)], np.float64)
