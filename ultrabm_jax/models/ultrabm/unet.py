"""U-Net of UltraBM's two streams: five levels of context units, max pooling down, bilinear interpolation up.

Levels k = 1..5 count from coarse (1/16 of the size) to fine (1/1), as in the paper's equations.
"""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ultrabm_jax.layers.conv import Conv, leaky_relu
from ultrabm_jax.layers.pooling import max_pool
from ultrabm_jax.layers.resampling import bilinear
from ultrabm_jax.models.ultrabm.context_unit import ContextUnit

LEVELS = 5
MULTIPLE = 2 ** (LEVELS - 1)  # the input's sides must be multiples of this

Modulate = Callable[[int, jax.Array], jax.Array]  # (k, features of level k) -> features of level k


class UNet(nn.Module):
    """(b, h, w, any) -> features (b, h, w, width) and [level 1, ..., level 5]; h and w must be multiples of 16.

    `modulate` refines the features of each level before the next one uses them.
    """

    width: int
    remat: bool = False
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, modulate: Modulate = lambda k, x: x) -> tuple[jax.Array, list[jax.Array]]:
        unit = nn.remat(ContextUnit) if self.remat else ContextUnit
        x = leaky_relu(Conv(self.width, use_bias=True, dtype=self.dtype, name="conv_in")(x))
        skips = []
        for i in range(LEVELS):
            x = unit(self.width, dtype=self.dtype, name=f"encoder{i + 1}")(max_pool(x) if i else x)
            skips.append(x)
        levels = [modulate(1, skips.pop())]
        for k in range(2, LEVELS + 1):
            x = jnp.concatenate([bilinear(levels[-1], 2), skips.pop()], axis=-1)
            x = unit(self.width, decoder=True, dtype=self.dtype, name=f"decoder{k - 1}")(x)
            levels.append(modulate(k, x))
        return Conv(self.width, kernel=1, use_bias=True, dtype=self.dtype, name="conv_out")(levels[-1]), levels
