"""PSNR after scaling the restored image to the mean brightness of the reference ("GT mean"), per image.

The alignment uses the reference and gains 4 to 5 dB. Three rules are in use, and they differ by decibels:

    psnr_gtmean_retinexformer   gray means of both images; nothing is rounded
    psnr_gtmean_llflow          mean of all restored values, gray mean of the reference; rounded down to integers
    psnr_gtmean_gray            gray means of both images; rounded to 8 bits

Gray is .299 R + .587 G + .114 B in the last one. The first two pass RGB to a function that expects BGR, which exchanges
the weights of R and B. One factor scales the whole image; a black image is unchanged. Always report psnr_rgb as well.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ultrabm_jax.image.colour import LUMA
from ultrabm_jax.metrics.images import PEAK, mean_per_image, to_0_255, to_8bit
from ultrabm_jax.metrics.psnr import psnr
from ultrabm_jax.typing import Array


def psnr_gtmean_retinexformer(restored: Array, reference: Array) -> jax.Array:
    """As Retinexformer's test code with --GT_mean."""
    a, b = to_0_255(restored), to_0_255(reference)
    scaled = _scaled(a, _weighted_mean(b, LUMA[::-1]), _weighted_mean(a, LUMA[::-1]))
    return psnr(jnp.minimum(scaled, PEAK), b, peak=PEAK)


def psnr_gtmean_llflow(restored: Array, reference: Array) -> jax.Array:
    """As LLFlow's test code."""
    a, b = to_8bit(restored), to_8bit(reference)
    scaled = _scaled(a, _weighted_mean(b, LUMA[::-1]), mean_per_image(a))
    return psnr(jnp.floor(jnp.minimum(scaled, PEAK)), b, peak=PEAK)


def psnr_gtmean_gray(restored: Array, reference: Array) -> jax.Array:
    """With the gray means of RGB in the right order."""
    a, b = to_8bit(restored), to_8bit(reference)
    scaled = _scaled(a, _weighted_mean(b, LUMA), _weighted_mean(a, LUMA))
    return psnr(jnp.round(jnp.minimum(scaled, PEAK)), b, peak=PEAK)


def _weighted_mean(x: jax.Array, weights: tuple[float, ...]) -> jax.Array:
    return jnp.sum(jnp.mean(jnp.mean(x, axis=2), axis=1) * jnp.asarray(weights, x.dtype), axis=-1)


def _scaled(x: jax.Array, target: jax.Array, mean: jax.Array) -> jax.Array:
    factor = jnp.where(mean > 0, target / jnp.where(mean > 0, mean, 1.0), 1.0)
    return x * factor[:, None, None, None]
