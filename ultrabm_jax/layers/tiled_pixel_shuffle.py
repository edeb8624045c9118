"""Pixel shuffle and its inverse for memories that store arrays in tiles of 8x128, as TPUs' do.

A tile holds the two minor dimensions, so that an array of pairs of columns, which the usual form writes, takes 64 times
its size. Here columns are split and merged while the rows of the image lie in the tiles' 128 lanes. The barriers keep
the compiler from joining the steps. Values are those of `pixel_shuffle.py`, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax

_stored: Callable[[jax.Array], jax.Array] = jax.lax.optimization_barrier


def pixel_shuffle(x: jax.Array, *factors: int) -> jax.Array:
    """(b, h, w, c f^2) -> (b, f h, f w, c): shuffles by each factor in turn, in one pass; f is their product."""
    b, h, w, c = x.shape
    factor = math.prod(factors)
    c //= factor**2
    rows = [4 + 2 * i for i in reversed(range(len(factors)))]  # axes; those of columns are the next ones
    x = x.reshape(b, h, w, c, *(side for f in reversed(factors) for side in (f, f)))
    x = _stored(x.transpose(0, 3, *rows, 2, *(axis + 1 for axis in rows), 1))
    x = _stored(x.reshape(b, c, factor, w * factor, h))
    return x.transpose(0, 4, 2, 3, 1).reshape(b, h * factor, w * factor, c)


def pixel_unshuffle(x: jax.Array, *factors: int) -> jax.Array:
    """(b, f h, f w, c) -> (b, h, w, c f^2): unshuffles by each factor in turn, in one pass."""
    b, h, w, c = x.shape
    factor, n = math.prod(factors), len(factors)
    h, w = h // factor, w // factor
    x = _stored(x.reshape(b, h, factor, w * factor, c).transpose(0, 2, 4, 3, 1))
    x = _stored(x.reshape(b, factor, c, w, factor, h))
    x = x.reshape(b, *reversed(factors), c, w, *reversed(factors), h)
    cells = [axis for i in range(n) for axis in (n - i, 2 * n + 2 - i)]  # row and column of each factor
    return x.transpose(0, 2 * n + 3, n + 2, n + 1, *cells).reshape(b, h, w, c * factor**2)
