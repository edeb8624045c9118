"""Pixel shuffle and its inverse, in PyTorch's channel order: c * f^2 + dy * f + dx."""

from __future__ import annotations

import jax


def pixel_shuffle(x: jax.Array, factor: int) -> jax.Array:
    """(b, h, w, c f^2) -> (b, f h, f w, c); channel c * f^2 + dy * f + dx becomes pixel (f y + dy, f x + dx)."""
    b, h, w, c = x.shape
    x = x.reshape(b, h, w, c // factor**2, factor, factor).transpose(0, 1, 4, 2, 5, 3)
    return x.reshape(b, h * factor, w * factor, c // factor**2)


def pixel_unshuffle(x: jax.Array, factor: int) -> jax.Array:
    """(b, h, w, c) -> (b, h / f, w / f, c f^2), the inverse of `pixel_shuffle`."""
    b, h, w, c = x.shape
    x = x.reshape(b, h // factor, factor, w // factor, factor, c).transpose(0, 1, 3, 5, 2, 4)
    return x.reshape(b, h // factor, w // factor, c * factor**2)
