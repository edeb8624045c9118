"""darkness.py of the room above, for batches on the device; the same formulas, see there for sources."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp


def darken(key: jax.Array, reference: jax.Array, options: Any, *, scale: int) -> jax.Array:
    """(s*h, s*w, 3) uint8 -> (h, w, 3) uint8: exposure and noise drawn from the ranges of config.data.darkness."""
    draw_key, noise_key = jax.random.split(key)
    ev, shot, read = draw_darkness(draw_key, options)
    height, width, channels = reference.shape
    light = linear_from_srgb(reference.astype(jnp.float32) / 255)
    light = light.reshape(height // scale, scale, width // scale, scale, channels).mean(axis=(1, 3)) * 2.0**ev
    light += jax.random.normal(noise_key, light.shape) * jnp.sqrt(shot * light + read)
    levels = 2**options.bits - 1
    steps = jnp.round(srgb_from_linear(jnp.clip(light, 0, 1)) * levels)
    return jnp.round(steps * (255 / levels)).astype(jnp.uint8)


def draw_darkness(key: jax.Array, options: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
    """(exposure in stops, shot noise, read noise); the noises are variances for signals in [0, 1]."""
    ev_key, shot_key, read_key = jax.random.split(key, 3)
    ev = jax.random.uniform(ev_key, minval=options.ev[0], maxval=options.ev[1])
    lowest, highest = (jnp.log(value) for value in options.shot_noise)
    log_shot = jax.random.uniform(shot_key, minval=lowest, maxval=highest)
    log_read = options.read_noise_slope * log_shot + options.read_noise_offset
    log_read += options.read_noise_sigma * jax.random.normal(read_key)
    return ev, jnp.exp(log_shot), jnp.exp(log_read)


def linear_from_srgb(value: jax.Array) -> jax.Array:
    """IEC 61966-2-1, [0, 1] -> [0, 1]."""
    return jnp.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def srgb_from_linear(value: jax.Array) -> jax.Array:
    """The inverse."""
    curved = 1.055 * jnp.maximum(value, 0.0031308) ** (1 / 2.4) - 0.055
    return jnp.where(value <= 0.0031308, value * 12.92, curved)
