"""Neighbourhood-difference guidance, F_diff of UltraBM (after Ma et al. 2021, CSDNet).

For a one-channel image a: the maximum over a 2x2 neighbourhood plus the mean absolute difference to the four
neighbours, beside a itself. At a border the missing neighbour counts as zero, so the term is the raw value, as in the
released code.

What a is: the luma of x in [0, 1] (CSDNet and our reading of the paper), or the released UltraIS code's
(1 - luma) / 2, an inverted leftover of a formula for images in [-1, 1].
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ultrabm_jax.image.colour import luma


def gray(x: jax.Array, *, mode: str = "luma") -> jax.Array:
    """(b, h, w, 3) in [0, 1] -> (b, h, w, 1). mode "luma": 0.299 R + 0.587 G + 0.114 B; "inv_half": (1 - luma) / 2."""
    if mode == "luma":
        return luma(x)
    if mode == "inv_half":
        return 1 - luma(x + 1) / 2
    raise ValueError(f"unknown gray mode {mode!r}; known: luma, inv_half")


def neighbourhood_difference(x: jax.Array, *, mode: str = "luma") -> jax.Array:
    """(b, h, w, 3) -> guidance (b, h, w, 2) = [maximum + difference, gray]."""
    a = gray(x, mode=mode)
    return jnp.concatenate([neighbourhood_maximum(a) + neighbourhood_edge(a), a], axis=-1)


def neighbourhood_maximum(a: jax.Array) -> jax.Array:
    """Maximum with the next row, then with the next column; the last row and column have no next."""
    for axis in (1, 2):
        last = jax.lax.slice_in_dim(a, a.shape[axis] - 1, None, axis=axis)
        a = jnp.maximum(a, jnp.concatenate([jax.lax.slice_in_dim(a, 1, None, axis=axis), last], axis=axis))
    return a


def neighbourhood_edge(a: jax.Array) -> jax.Array:
    """Mean of the absolute differences to the four neighbours, zero outside."""
    p = jnp.pad(a, ((0, 0), (1, 1), (1, 1), (0, 0)))
    neighbours = (p[:, 2:, 1:-1], p[:, :-2, 1:-1], p[:, 1:-1, 2:], p[:, 1:-1, :-2])
    return sum((jnp.abs(a - n) for n in neighbours), start=jnp.zeros_like(a)) / 4
