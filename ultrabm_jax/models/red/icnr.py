"""ICNR initialisation (Aitken et al. 2017) of a convolution in front of a pixel shuffle.

The f^2 output channels that become one cell of pixels start equal. The untrained layer then acts like a convolution
followed by nearest-neighbour resizing and draws no checkerboard pattern.
"""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike


def icnr(init: nn.initializers.Initializer, factor: int) -> nn.initializers.Initializer:
    """Draws one channel in factor^2 with `init` and repeats it along the last axis. Factor 1 returns plain `init`."""

    def repeated(key: jax.Array, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> jax.Array:
        *rest, channels = shape
        return jnp.repeat(init(key, (*rest, channels // factor**2), dtype), factor**2, axis=-1)

    return repeated
