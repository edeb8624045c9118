"""Synthetic low images of DRGN's training (config.synthesis).

    I_L,ref = round(clip(I_ref darkened by I_D, + noise))

Darkening: models/drgn/degradation.py. Clipping, noise and rounding imitate what happens in a camera; the noise and the
rounding are ours.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from ultrabm_jax.errors import UserError
from ultrabm_jax.layers.clip_inward import clip_inward

CLIPS = ("inward", "straight", "hard", "none")


def check_synthesis(synthesis: ConfigDict) -> None:
    """Raises UserError for a value that a field of config.synthesis does not take."""
    if synthesis.clip not in CLIPS:
        raise UserError(f"unknown synthesis.clip {synthesis.clip!r}; known: {', '.join(CLIPS)}")
    if not 0 <= synthesis.bits <= 16:
        raise UserError(f"synthesis.bits={synthesis.bits} must be 0 to 16")
    noise = tuple(synthesis.noise)
    if len(noise) != 2 or not 0 <= noise[0] <= noise[1] <= 1:
        raise UserError(f"synthesis.noise={noise} must be two numbers from 0 to 1, the smaller one first")


def draw_noise(key: jax.Array, shape: tuple[int, ...], *, deviations: tuple[float, float]) -> jax.Array:
    """Gaussian noise (b, h, w, c) with one standard deviation per image, uniform between the two `deviations`."""
    deviation_key, noise_key = jax.random.split(key)
    lowest, highest = deviations
    deviation = jax.random.uniform(deviation_key, (shape[0], 1, 1, 1), minval=lowest, maxval=highest)
    return deviation * jax.random.normal(noise_key, shape)


def clip(x: jax.Array, *, kind: str) -> jax.Array:
    """Clips to [0, 1]; `kind`, one of `CLIPS`, selects the gradient outside, and "none" returns x."""
    if kind == "none":
        return x
    if kind == "inward":
        return clip_inward(x, 0.0, 1.0)
    clipped = jnp.clip(x, 0, 1)
    return clipped if kind == "hard" else x + jax.lax.stop_gradient(clipped - x)


def quantise(x: jax.Array, *, bits: int) -> jax.Array:
    """Rounds values in [0, 1] to `bits` bits, with the gradient of the identity; 0 bits: x."""
    if not bits:
        return x
    levels = 2**bits - 1
    return x + jax.lax.stop_gradient(jnp.round(x * levels) / levels - x)
