"""Shared by the metrics: input checks, 8-bit values, luma, cropping, and means that keep their precision in float32.

Images are (b, h, w, 3), uint8 or float in [0, 1]. "8-bit" below means float32 arrays of integers 0..255.
"""

from __future__ import annotations

import os
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.typing import Array, ArrayT

AssetFolder: TypeAlias = str | os.PathLike[str] | None  # searched first for weights and models

PEAK = 255.0
RANGE_TOLERANCE = 0.5 / PEAK  # values may leave [0, 1] by half an 8-bit level, as rounding errors do
BT601 = (65.481 / 255, 128.553 / 255, 24.966 / 255)  # 8-bit RGB to Y - 16 in 0..219
MATLAB_GRAY = (0.298936021293775390, 0.587043074451121360, 0.114020904255103250)


def check_images(name: str, *images: Array) -> None:
    """Raises a UserError that names the metric and the received shapes or types, before anything is computed."""
    for image in images:
        if image.ndim != 4 or image.shape[-1] != 3:
            raise UserError(f"{name} takes images of shape (b, h, w, 3), got {image.shape}")
        if image.dtype != np.uint8 and not jnp.issubdtype(image.dtype, jnp.floating):
            raise UserError(f"{name} takes uint8 images or float images in [0, 1], got {image.dtype}")
        _check_range(name, image)
    if len({image.shape for image in images}) > 1:
        raise UserError(f"{name} takes two images of the same size, got {' and '.join(str(i.shape) for i in images)}")


def _check_range(name: str, image: Array) -> None:
    """Raises UserError for float values outside [0, 1] or nan; traced values are unknown and are clipped later."""
    if isinstance(image, jax.core.Tracer) or image.dtype == np.uint8 or not image.size:
        return
    values = np.asarray(image)  # in JAX, whether the minimum of nan is nan depends on the compiler
    low, high = float(values.min()), float(values.max())
    if not (low >= -RANGE_TOLERANCE and high <= 1 + RANGE_TOLERANCE):
        raise UserError(f"{name} takes uint8 images or float images in [0, 1], got values from {low:.4g} to {high:.4g}")


def check_size(name: str, image: Array, smallest: int) -> None:
    """Raises UserError unless both sides of (b, h, w, ...) have at least `smallest` pixels."""
    if min(image.shape[1:3]) < smallest:
        raise UserError(f"{name} needs at least {smallest} pixels a side, got {image.shape[1]}x{image.shape[2]}")


def crop_border(image: Array, border: int) -> Array:
    """Cuts `border` pixels from every side of (b, h, w, c)."""
    if min(image.shape[1:3]) <= 2 * border:
        raise UserError(f"cutting {border} pixels from each side leaves nothing of {image.shape[1]}x{image.shape[2]}")
    return image[:, border:-border, border:-border] if border else image


def to_8bit(image: Array) -> jax.Array:
    """255 clip(x, 0, 1), rounded half to even, as when the image is written to a file."""
    image = jnp.asarray(image)
    return image.astype(jnp.float32) if image.dtype == jnp.uint8 else jnp.round(to_0_255(image))


def to_0_255(image: Array) -> jax.Array:
    """255 clip(x, 0, 1) in float32, not rounded; uint8 values are exact."""
    image = jnp.asarray(image)
    if image.dtype == jnp.uint8:
        return image.astype(jnp.float32)
    return PEAK * jnp.clip(image.astype(jnp.float32), 0.0, 1.0)


def to_unit(image: Array) -> jax.Array:
    """clip(x, 0, 1) in float32, not rounded."""
    image = jnp.asarray(image)
    if image.dtype == jnp.uint8:
        return image.astype(jnp.float32) / PEAK
    return jnp.clip(image.astype(jnp.float32), 0.0, 1.0)


def luma_0_219(rgb: ArrayT) -> ArrayT:
    """Y of MATLAB's rgb2ycbcr without its offset of 16, from 8-bit values, not rounded; (..., 3) -> (..., 1)."""
    # A sum of products: accelerators compute matrix products at lower precision.
    return (rgb * np.asarray(BT601, np.float32)).sum(axis=-1, keepdims=True)


def matlab_gray(rgb: jax.Array) -> jax.Array:
    """MATLAB's rgb2gray of 8-bit values, rounded half up to 8 bits; (b, h, w, 1).

    Computed in integers, since float32 would round some pixels the other way: the weights in units of 2^-30 are split
    into a high part (units of 2^-15) and a low one.
    """
    fixed = np.round(np.asarray(MATLAB_GRAY) * 2**30).astype(np.int64)
    high, low = (jnp.asarray(part, jnp.int32) for part in (fixed >> 15, fixed & (2**15 - 1)))
    integers = rgb.astype(jnp.int32)
    coarse, fine = (jnp.sum(integers * part, axis=-1, keepdims=True) for part in (high, low))
    return ((coarse + (fine >> 15) + 2**14) >> 15).astype(jnp.float32)


def mean_per_image(x: jax.Array) -> jax.Array:
    """(b, h, w, c) to (b,): means of the rows, then their mean; a single float32 sum over megapixels loses digits."""
    return jnp.mean(jnp.mean(x, axis=(2, 3)), axis=1)
