"""UltraBM's losses on the first stream, one value per example (b,).

ImageNet's channel statistics mu and sigma stand for the natural colours of a well-lit image.

Deviation: beyond a distance of 10 the exponential continues as its tangent. When an update drives u close to zero early
in training, a reflection x / u averages 100 and more; the exponential would overflow and end the run.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ultrabm_jax.backbones.vgg import IMAGENET_MEAN, IMAGENET_STD
from ultrabm_jax.losses.pixel import smooth_l1
from ultrabm_jax.models.ultrabm.guidance import gray

TANGENT_FROM = 10.0


def self_regularised_luminance(v: jax.Array) -> jax.Array:
    """L_SL, equation 6, on the unclipped reflection v (b, h, w, 3): sum over channels of exp|mean v - mu - sigma| - 1.

    The paper does not state whether channels are summed or averaged; they are summed here. The target level is
    (.714, .680, .631).
    """
    distance = jnp.abs(_channel_means(v) - jnp.array(IMAGENET_MEAN) - jnp.array(IMAGENET_STD))
    return jnp.sum(_expm1(distance), axis=-1)


def hinged_luminance(u: jax.Array) -> jax.Array:
    """L_SL of the released code, on the illumination u (b, h, w, 1) or an image (b, h, w, 3).

    Sum over the three statistics of exp(relu(|mean u - mu| - sigma)) - 1. Deviation: the release also sums over the
    batch, so its loss grows with the batch size; here it is per example, as all losses are.
    """
    distance = jnp.abs(_channel_means(u) - jnp.array(IMAGENET_MEAN)) - jnp.array(IMAGENET_STD)
    return jnp.sum(_expm1(jax.nn.relu(distance)), axis=-1)


def illumination_smoothness(u: jax.Array, low: jax.Array, *, gray_mode: str = "luma") -> jax.Array:
    """L_IS, equation 7: smooth L1 between the illumination u (b, h, w, 1) and the gray of low (b, h, w, 3)."""
    return smooth_l1(u, gray(low, mode=gray_mode))


def _channel_means(x: jax.Array) -> jax.Array:
    return jnp.mean(x, axis=(1, 2))


def _expm1(distance: jax.Array) -> jax.Array:
    inner = jnp.minimum(distance, TANGENT_FROM)
    return jnp.expm1(inner) + jnp.exp(inner) * (distance - inner)
