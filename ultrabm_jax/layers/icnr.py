"""ICNR (Aitken et al. 2017): a convolution before a pixel shuffle that starts as one before nearest-neighbour resizing.

The f^2 channels that become one cell of pixels start equal, so that an untrained network draws no checkerboard.
"""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike


def icnr(init: nn.initializers.Initializer, factor: int) -> nn.initializers.Initializer:
    """`init` for one channel in f^2, each repeated; the last axis is the output channels. Factor 1 changes nothing."""

    def repeated(key: jax.Array, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> jax.Array:
        *rest, channels = shape
        return jnp.repeat(init(key, (*rest, channels // factor**2), dtype), factor**2, axis=-1)

    return repeated
