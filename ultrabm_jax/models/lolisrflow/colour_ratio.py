"""Colour ratio map of LoLiSRFlow (LLFlow's colour map): each channel's share of a pixel, whatever the light.

Deviation: LLFlow's release divides by a sum to which 1e-4 is added, so that the shares of a black pixel sum to 0.97;
here they are a third each.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

FLOOR = 1e-3  # added to every channel


def colour_ratio(x: jax.Array) -> jax.Array:
    """(b, h, w, 3) in [0, 1] -> (b, h, w, 3), which sum to 1 over the channels."""
    x = x.astype(jnp.float32) + FLOOR
    return x / jnp.sum(x, axis=-1, keepdims=True)


def noise_map(ratio: jax.Array) -> jax.Array:
    """(b, h, w, c) -> (b, h, w, c): the larger of the two central differences' magnitudes, zero outside.

    Colour changes slowly where there is no noise, so that what changes quickly is taken for noise.
    """
    return jnp.maximum(_difference(ratio, axis=1), _difference(ratio, axis=2))


def _difference(x: jax.Array, *, axis: int) -> jax.Array:
    padding = [(0, 0)] * x.ndim
    padding[axis] = (1, 1)
    padded, length = jnp.pad(x, padding), x.shape[axis]
    before = jax.lax.slice_in_dim(padded, 0, length, axis=axis)
    after = jax.lax.slice_in_dim(padded, 2, length + 2, axis=axis)
    return jnp.abs(after - before) / 2
