"""Channels from positions, in PyTorch's order; the inverse, `pixel_shuffle`, is in layers/resize.py."""

from __future__ import annotations

import jax


def pixel_unshuffle(x: jax.Array, factor: int) -> jax.Array:
    """(b, h, w, c) -> (b, h / f, w / f, c f^2); channel c * f^2 + dy * f + dx has pixel (f y + dy, f x + dx)."""
    b, h, w, c = x.shape
    x = x.reshape(b, h // factor, factor, w // factor, factor, c).transpose(0, 1, 3, 5, 2, 4)
    return x.reshape(b, h // factor, w // factor, c * factor**2)


def channel_shuffle(x: jax.Array, parts: int) -> jax.Array:
    """Interleaves the channels of `parts` equal parts: channel parts * i + p is channel i of part p."""
    *rest, c = x.shape
    return x.reshape(*rest, parts, c // parts).swapaxes(-1, -2).reshape(x.shape)
