"""Padding to the sizes that a network's down-sampling needs."""

from __future__ import annotations

import jax

from ultrabm_jax.layers.canvas import pad_by_reflection


def reflect_to_multiple(x: jax.Array, multiple: int) -> jax.Array:
    """Pads the bottom and right of (b, h, w, c) by reflection until h and w are multiples of `multiple`.

    Sides shorter than the padding are reflected repeatedly, so even a 1x1 image can be padded. On a canvas
    (layers/canvas.py), whose sides are such multiples, the array keeps its shape and the padding lies inside it.
    """
    for axis in (1, 2):
        x = pad_by_reflection(x, 0, -x.shape[axis] % multiple, axis=axis, padded=False)
    return x
