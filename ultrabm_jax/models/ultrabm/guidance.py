"""Neighbourhood-difference guidance, F_diff of UltraBM (after Ma et al. 2021, CSDNet).

The guidance has two channels: a one-channel image a, and the sum of its maximum over a 2x2 neighbourhood and its mean
absolute difference to the four neighbours. At the border a missing neighbour counts as zero, so that its term is a
itself, as in the released code.

a is the luma of x in [0, 1] in CSDNet and in our reading of the paper. The released UltraIS code has (1 - luma) / 2,
which looks like a formula for images in [-1, 1], inverted.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ultrabm_jax.image.colour import luma
from ultrabm_jax.layers.canvas import replicate_outside, zero_outside


def gray(x: jax.Array, *, mode: str = "luma") -> jax.Array:
    """(b, h, w, 3) in [0, 1] -> (b, h, w, 1). Mode "luma": 0.299 R + 0.587 G + 0.114 B; "inv_half": (1 - luma) / 2."""
    if mode == "luma":
        return luma(x)
    if mode == "inv_half":
        return 1 - luma(x + 1) / 2
    raise ValueError(f"unknown gray mode {mode!r}; known: luma, inv_half")


def neighbourhood_difference(x: jax.Array, *, mode: str = "luma") -> jax.Array:
    """Guidance: (b, h, w, 3) -> (b, h, w, 2) = [maximum + difference, gray]."""
    a = gray(x, mode=mode)
    return jnp.concatenate([neighbourhood_maximum(a) + neighbourhood_edge(a), a], axis=-1)


def neighbourhood_maximum(a: jax.Array) -> jax.Array:
    """Maximum over each pixel and its successors in rows and columns, at the border over those that exist."""
    for axis in (1, 2):
        a = replicate_outside(a, axis=axis)
        last = jax.lax.slice_in_dim(a, a.shape[axis] - 1, None, axis=axis)
        a = jnp.maximum(a, jnp.concatenate([jax.lax.slice_in_dim(a, 1, None, axis=axis), last], axis=axis))
    return a


def neighbourhood_edge(a: jax.Array) -> jax.Array:
    """Mean absolute difference to the four neighbours; pixels outside the image are zero."""
    p = jnp.pad(zero_outside(a), ((0, 0), (1, 1), (1, 1), (0, 0)))
    neighbours = (p[:, 2:, 1:-1], p[:, :-2, 1:-1], p[:, 1:-1, 2:], p[:, 1:-1, :-2])
    return sum((jnp.abs(a - n) for n in neighbours), start=jnp.zeros_like(a)) / 4
