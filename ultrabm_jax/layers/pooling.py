"""Pooling over non-overlapping windows, written as reshapes."""

from __future__ import annotations

import jax


def max_pool(x: jax.Array) -> jax.Array:
    """2x2 maximum: (b, h, w, c) -> (b, h / 2, w / 2, c); h and w must be even.

    The gradient of a reshape and maximum is much faster on CPUs than that of a window reduction. Equal maxima share
    the gradient.
    """
    b, h, w, c = x.shape
    return x.reshape(b, h // 2, 2, w // 2, 2, c).max(axis=(2, 4))


def mean_pool(x: jax.Array, factor: int) -> jax.Array:
    """(b, h, w, c) -> (b, h / factor, w / factor, c); h and w must be multiples of `factor`."""
    b, h, w, c = x.shape
    return x.reshape(b, h // factor, factor, w // factor, factor, c).mean(axis=(2, 4))
