"""Restormer's transformer block (Zamir et al. 2022): transposed attention and a gated feed-forward network.

Queries, keys and values all come from the features, by a 1x1 and a depthwise 3x3 convolution.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ultrabm_jax.layers.conv import Conv
from ultrabm_jax.layers.transposed_attention import GatedFeedForward, LayerNorm, TransposedAttention


class SelfAttention(TransposedAttention):
    """Transposed self-attention: (b, h, w, width) -> (b, h, w, width)."""

    @nn.compact
    def __call__(self, features: jax.Array) -> jax.Array:
        qkv = Conv(3 * self.width, kernel=1, dtype=self.dtype, name="qkv")(features)
        qkv = Conv(3 * self.width, groups=3 * self.width, dtype=self.dtype, name="qkv_conv")(qkv)
        return self.attend(*jnp.split(qkv, 3, axis=-1))


class TransformerBlock(nn.Module):
    """Pre-normalised attention and feed-forward network with skip connections; keeps the shape (b, h, w, width)."""

    width: int
    heads: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        attention = SelfAttention(self.width, self.heads, dtype=self.dtype, name="attention")
        x = x + attention(LayerNorm(dtype=self.dtype, name="norm1")(x))
        feed_forward = GatedFeedForward(self.width, dtype=self.dtype, name="ffn")
        return x + feed_forward(LayerNorm(dtype=self.dtype, name="norm2")(x))
