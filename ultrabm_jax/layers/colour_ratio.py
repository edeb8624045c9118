"""Colour ratio map of LoLiSRFlow (the colour map of LLFlow): each channel's share of the sum of a pixel's channels.

The map is nearly independent of the illumination. Deviation: LLFlow's release adds 1e-4 to the sum, so that the shares
of a black pixel sum to 0.97; here each is a third.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ultrabm_jax.layers.canvas import zero_outside

FLOOR = 1e-3  # added to every channel


def colour_ratio(x: jax.Array) -> jax.Array:
    """Colour ratio map: (b, h, w, 3) in [0, 1] -> (b, h, w, 3) that sums to 1 over the channels."""
    x = x.astype(jnp.float32) + FLOOR
    return x / jnp.sum(x, axis=-1, keepdims=True)


def noise_map(ratio: jax.Array) -> jax.Array:
    """Noise map: (b, h, w, c) -> (b, h, w, c), the larger absolute central difference along rows and columns.

    Without noise, colour varies slowly, so rapid changes of the ratio indicate noise. Pixels outside are zero.
    """
    return jnp.maximum(_difference(ratio, axis=1), _difference(ratio, axis=2))


def _difference(x: jax.Array, *, axis: int) -> jax.Array:
    padding = [(0, 0)] * x.ndim
    padding[axis] = (1, 1)
    padded, length = jnp.pad(zero_outside(x), padding), x.shape[axis]
    before = jax.lax.slice_in_dim(padded, 0, length, axis=axis)
    after = jax.lax.slice_in_dim(padded, 2, length + 2, axis=axis)
    return jnp.abs(after - before) / 2
