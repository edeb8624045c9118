"""PSNR after the result's mean brightness was set to the reference's ("GT mean"), per image.

Such numbers are 4 to 5 dB above those without, know the answer, and follow three rules that disagree by decibels:

    psnr_gtmean_retinexformer   gray means of both; nothing is rounded
    psnr_gtmean_llflow          mean of all values of the result, gray mean of the reference; cut down to whole numbers
    psnr_gtmean_gray            gray means of both, rounded to 8 bit

Gray is .299 R + .587 G + .114 B in the last; the first two hand RGB to a function for BGR, so that their weights of R
and B are exchanged. The factor is one number for the whole image; a black result stays as it is. Never
print one of them without psnr_rgb beside it.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ultrabm_jax.image.colour import LUMA
from ultrabm_jax.metrics.images import PEAK, mean_per_image, to_8bit
from ultrabm_jax.metrics.psnr import psnr


def psnr_gtmean_retinexformer(restored: jax.Array, reference: jax.Array) -> jax.Array:
    a, b = _unrounded(restored), _unrounded(reference)
    scaled = _scaled(a, _weighted_mean(b, LUMA[::-1]), _weighted_mean(a, LUMA[::-1]))
    return psnr(jnp.minimum(scaled, PEAK), b, peak=PEAK)


def psnr_gtmean_llflow(restored: jax.Array, reference: jax.Array) -> jax.Array:
    a, b = to_8bit(restored), to_8bit(reference)
    scaled = _scaled(a, _weighted_mean(b, LUMA[::-1]), mean_per_image(a))
    return psnr(jnp.floor(jnp.minimum(scaled, PEAK)), b, peak=PEAK)


def psnr_gtmean_gray(restored: jax.Array, reference: jax.Array) -> jax.Array:
    a, b = to_8bit(restored), to_8bit(reference)
    scaled = _scaled(a, _weighted_mean(b, LUMA), _weighted_mean(a, LUMA))
    return psnr(jnp.round(jnp.minimum(scaled, PEAK)), b, peak=PEAK)


def _unrounded(image: jax.Array) -> jax.Array:
    """0..255; whole numbers stay exact."""
    image = jnp.asarray(image)
    return to_8bit(image) if image.dtype == jnp.uint8 else PEAK * jnp.clip(image.astype(jnp.float32), 0.0, 1.0)


def _weighted_mean(x: jax.Array, weights: tuple[float, ...]) -> jax.Array:
    return jnp.sum(jnp.mean(jnp.mean(x, axis=2), axis=1) * jnp.asarray(weights, x.dtype), axis=-1)


def _scaled(x: jax.Array, wanted: jax.Array, found: jax.Array) -> jax.Array:
    factor = jnp.where(found > 0, wanted / jnp.where(found > 0, found, 1.0), 1.0)
    return x * factor[:, None, None, None]
