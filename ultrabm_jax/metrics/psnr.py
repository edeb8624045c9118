"""Peak signal-to-noise ratio and root mean squared error, per image; protocols of the names in `metrics`.

PSNR is on 8-bit values with peak 255, the mean over all pixels and channels of one image; identical images give inf.
RMSE is in [0,1] units without rounding. (UltraBM's tables divide 8-bit differences by 4095: a slip of units, its 0.0048
is 0.077 here.)
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ultrabm_jax.metrics.images import PEAK, luma, mean_per_image, to_8bit, to_unit


def psnr(a: jax.Array, b: jax.Array, *, peak: float) -> jax.Array:
    """(b,) in dB, of images in any one unit."""
    return _decibel(mean_per_image(jnp.square(a - b)), peak)


def psnr_rgb(restored: jax.Array, reference: jax.Array) -> jax.Array:
    return psnr(to_8bit(restored), to_8bit(reference), peak=PEAK)


def psnr_y(restored: jax.Array, reference: jax.Array) -> jax.Array:
    """On Y = 16 + (65.481 R + 128.553 G + 24.966 B)/255, not rounded, peak 255 although Y spans 16..235."""
    # luma is linear: taking it of the exact difference keeps all digits
    return _decibel(mean_per_image(jnp.square(luma(to_8bit(restored) - to_8bit(reference)))), PEAK)


def rmse(restored: jax.Array, reference: jax.Array) -> jax.Array:
    return jnp.sqrt(mean_per_image(jnp.square(to_unit(restored) - to_unit(reference))))


def _decibel(mse: jax.Array, peak: float) -> jax.Array:
    return 10.0 * jnp.log10(peak**2 / mse)
