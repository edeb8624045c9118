"""Peak signal-to-noise ratio (PSNR) and root mean squared error (RMSE), per image.

PSNR is computed on 8-bit values with peak 255 and averages over all pixels and channels of an image; identical images
give inf. RMSE is computed in [0, 1] without rounding. UltraBM's tables divide 8-bit differences by 4095, apparently a
slip of units: their 0.0048 is 0.077 here.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ultrabm_jax.metrics.images import PEAK, luma_0_219, mean_per_image, to_8bit, to_unit
from ultrabm_jax.typing import Array


def psnr(a: jax.Array, b: jax.Array, *, peak: float) -> jax.Array:
    """PSNR in dB, (b,), of images (b, h, w, c) with values 0..peak."""
    return _decibel(mean_per_image(jnp.square(a - b)), peak)


def psnr_rgb(restored: Array, reference: Array) -> jax.Array:
    """PSNR of 8-bit RGB."""
    return psnr(to_8bit(restored), to_8bit(reference), peak=PEAK)


def psnr_y(restored: Array, reference: Array) -> jax.Array:
    """PSNR of Y = 16 + (65.481 R + 128.553 G + 24.966 B)/255, not rounded; peak 255 although Y spans 16..235."""
    # Luma is linear; taking it of the exact integer difference loses no digits.
    return _decibel(mean_per_image(jnp.square(luma_0_219(to_8bit(restored) - to_8bit(reference)))), PEAK)


def rmse(restored: Array, reference: Array) -> jax.Array:
    """Root mean squared error of images in [0, 1]."""
    return jnp.sqrt(mean_per_image(jnp.square(to_unit(restored) - to_unit(reference))))


def _decibel(mse: jax.Array, peak: float) -> jax.Array:
    return 10.0 * jnp.log10(peak**2 / mse)
