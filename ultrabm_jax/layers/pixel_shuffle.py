"""Pixel shuffle and its inverse, in PyTorch's channel order: c * f^2 + dy * f + dx."""

from __future__ import annotations

import math

import jax


def pixel_shuffle(x: jax.Array, *factors: int) -> jax.Array:
    """(b, h, w, c f^2) -> (b, f h, f w, c); channel c * f^2 + dy * f + dx becomes pixel (f y + dy, f x + dx).

    With several factors, shuffles by each in turn, in one pass; f is their product.
    """
    b, h, w, c = x.shape
    factor, n = math.prod(factors), len(factors)
    rows = [4 + 2 * i for i in reversed(range(n))]  # axes; those of columns are the next ones
    x = x.reshape(b, h, w, c // factor**2, *(side for f in reversed(factors) for side in (f, f)))
    x = x.transpose(0, 1, *rows, 2, *(axis + 1 for axis in rows), 3)
    return x.reshape(b, h * factor, w * factor, c // factor**2)


def pixel_unshuffle(x: jax.Array, factor: int) -> jax.Array:
    """(b, h, w, c) -> (b, h / f, w / f, c f^2), the inverse of `pixel_shuffle`."""
    b, h, w, c = x.shape
    x = x.reshape(b, h // factor, factor, w // factor, factor, c).transpose(0, 1, 3, 5, 2, 4)
    return x.reshape(b, h // factor, w // factor, c * factor**2)


def shuffle_to_cells(x: jax.Array, factor: int, cell: int) -> jax.Array:
    """`pixel_unshuffle(pixel_shuffle(x, factor), cell)` in one pass; `cell` divides `factor`.

    (b, h, w, c f^2) -> (b, h f / cell, w f / cell, c cell^2).
    """
    b, h, w, c = x.shape
    outer, c = factor // cell, c // factor**2
    x = x.reshape(b, h, w, c, outer, cell, outer, cell).transpose(0, 1, 4, 2, 6, 3, 5, 7)
    return x.reshape(b, h * outer, w * outer, c * cell**2)
