"""What the metrics share: 8-bit values, luma, cropping, and means that keep their digits in float32.

Images are (b, h, w, 3), uint8 or float in [0,1]. "8-bit" below means float32 arrays of whole numbers 0..255.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ultrabm_jax.errors import UserError

PEAK = 255.0
BT601 = (65.481 / 255, 128.553 / 255, 24.966 / 255)  # 8-bit RGB to Y - 16 in 0..219
MATLAB_GRAY = (0.298936021293775390, 0.587043074451121360, 0.114020904255103250)


def check_images(name: str, *images: jax.Array | np.ndarray) -> None:
    """One line that says which metric got what, before anything is computed."""
    for image in images:
        if image.ndim != 4 or image.shape[-1] != 3:
            raise UserError(f"{name} wants images of shape (b, h, w, 3), got {image.shape}")
        if image.dtype != np.uint8 and not jnp.issubdtype(image.dtype, jnp.floating):
            raise UserError(f"{name} wants uint8 or float images in [0,1], got {image.dtype}")
    if len({image.shape for image in images}) > 1:
        raise UserError(f"{name} wants two images of one size, got {' and '.join(str(i.shape) for i in images)}")


def crop_border(image: Any, border: int) -> Any:
    if min(image.shape[1:3]) <= 2 * border:
        raise UserError(f"cutting {border} pixels from each side leaves nothing of {image.shape[1]}x{image.shape[2]}")
    return image[:, border:-border, border:-border] if border else image


def to_8bit(image: jax.Array) -> jax.Array:
    """Round half to even of 255 clip(x, 0, 1), as writing the image to a file would."""
    image = jnp.asarray(image)
    if image.dtype == jnp.uint8:
        return image.astype(jnp.float32)
    return jnp.round(PEAK * jnp.clip(image.astype(jnp.float32), 0.0, 1.0))


def to_unit(image: jax.Array) -> jax.Array:
    """[0,1], without rounding."""
    image = jnp.asarray(image)
    if image.dtype == jnp.uint8:
        return image.astype(jnp.float32) / PEAK
    return jnp.clip(image.astype(jnp.float32), 0.0, 1.0)


def luma(rgb: jax.Array) -> jax.Array:
    """Y of MATLAB's rgb2ycbcr less its offset of 16, from 8-bit values, not rounded; (b, h, w, 1)."""
    # a sum of products, not a matrix product: those are cut to fewer bits on accelerators
    return jnp.sum(rgb * jnp.asarray(BT601, jnp.float32), axis=-1, keepdims=True)


def matlab_gray(rgb: jax.Array) -> jax.Array:
    """rgb2gray of 8-bit values, rounded half up to 8 bit; (b, h, w, 1).

    In whole numbers, since float32 would round some pixels to the other side: the weights in units of 2^-30 are split
    into a high part (units of 2^-15) and a low one.
    """
    fixed = np.round(np.asarray(MATLAB_GRAY) * 2**30).astype(np.int64)
    high, low = (jnp.asarray(part, jnp.int32) for part in (fixed >> 15, fixed & (2**15 - 1)))
    whole = rgb.astype(jnp.int32)
    coarse, fine = jnp.sum(whole * high, axis=-1, keepdims=True), jnp.sum(whole * low, axis=-1, keepdims=True)
    return ((coarse + (fine >> 15) + 2**14) >> 15).astype(jnp.float32)


def mean_per_image(x: jax.Array) -> jax.Array:
    """(b, h, w, c) to (b,): rows first, then their means; one running float32 sum over megapixels loses digits."""
    return jnp.mean(jnp.mean(x, axis=(2, 3)), axis=1)
