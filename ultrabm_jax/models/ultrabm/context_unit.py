"""Context units, the building blocks of UltraBM's U-Nets: two convolutions and a context block.

The name is from UltraBM's Figure 4(c), the layers from the released UltraIS code, which follows the residual context
block of MIRNet-v2 (Zamir et al. 2022). No convolution has a bias.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ultrabm_jax.layers.canvas import inside, zero_outside
from ultrabm_jax.layers.conv import Conv, leaky_relu
from ultrabm_jax.layers.tile_statistics import shared_statistic


class ContextBlock(nn.Module):
    """x + LReLU(h + t): h is two grouped convolutions of x, t a transform of h pooled by a softmax over positions."""

    width: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        h = Conv(self.width, groups=2, dtype=self.dtype, name="head1")(x)
        h = Conv(self.width, groups=2, dtype=self.dtype, name="head2")(leaky_relu(h))
        context = shared_statistic(self, "context", self._pool(h))
        t = Conv(self.width, kernel=1, dtype=self.dtype, name="transform1")(context)
        t = Conv(self.width, kernel=1, dtype=self.dtype, name="transform2")(leaky_relu(t))
        return x + leaky_relu(h + t)

    def _pool(self, h: jax.Array) -> jax.Array:
        """Attention pooling over positions: (b, h, w, c) -> (b, 1, 1, c), float32."""
        logits = Conv(1, kernel=1, dtype=self.dtype, name="mask")(h).astype(jnp.float32)
        mask = jax.nn.softmax(logits, axis=(1, 2), where=inside(logits))
        return jnp.sum(mask * zero_outside(h).astype(jnp.float32), axis=(1, 2), keepdims=True)


class ContextUnit(nn.Module):
    """(b, h, w, any) -> (b, h, w, width).

    The skip connection starts at the input in the encoder (CU_d) and behind the two convolutions in the decoder (CU_u),
    whose input has twice the width.
    """

    width: int
    decoder: bool = False
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        b = leaky_relu(Conv(self.width, dtype=self.dtype, name="conv1")(x))
        b = leaky_relu(Conv(self.width, dtype=self.dtype, name="conv2")(b))
        skip = b if self.decoder else x
        return skip + leaky_relu(ContextBlock(self.width, dtype=self.dtype, name="context")(b))
