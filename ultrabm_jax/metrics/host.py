"""Shared by the metrics in float64 NumPy: integer values 0..255 of images (b, h, w, 3), uint8 or float in [0, 1].

NIQE, BRISQUE and SSEQ lose all their digits in float32, in which JAX computes. They are called at evaluation only and
run on the host.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ultrabm_jax.metrics.images import matlab_gray, to_8bit
from ultrabm_jax.typing import Array


def to_uint8(image: Array) -> np.ndarray:
    """255 clip(x, 0, 1), rounded half to even, as uint8."""
    return np.asarray(to_8bit(image)).astype(np.uint8)


def gray(image: Array) -> np.ndarray:
    """MATLAB's rgb2gray, (b, h, w), integers in float64."""
    return np.asarray(matlab_gray(to_8bit(image)), np.float64)[..., 0]


def luma_16_235(image: Array) -> np.ndarray:
    """Y of MATLAB's rgb2ycbcr on uint8, rounded half up, 16..235, (b, h, w), integers in float64."""
    thousandths = to_uint8(image).astype(np.int64) @ np.array([65_481, 128_553, 24_966])
    return (16 + (thousandths + 127_500) // 255_000).astype(np.float64)


def joint_histogram(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """How often level i of `a` and level j of `b` occur at the same pixel of two uint8 images, (256, 256)."""
    pairs = 256 * a.ravel().astype(np.int64) + b.ravel()
    return np.bincount(pairs, minlength=256 * 256).reshape(256, 256)


def per_image(function: Callable[..., float], *batches: np.ndarray) -> np.ndarray:
    """The function of each image of a batch, (b,) float64."""
    return np.array([function(*images) for images in zip(*batches, strict=True)], np.float64)
