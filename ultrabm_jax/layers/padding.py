"""Padding to the sizes that a network's down-sampling needs."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def reflect_to_multiple(x: jax.Array, multiple: int) -> jax.Array:
    """Pads the bottom and right of (b, h, w, c) by reflection until h and w are multiples of `multiple`.

    Sides shorter than the padding are reflected repeatedly, so even a 1x1 image can be padded.
    """
    h, w = x.shape[1:3]
    return jnp.pad(x, ((0, 0), (0, -h % multiple), (0, -w % multiple), (0, 0)), mode="reflect")
