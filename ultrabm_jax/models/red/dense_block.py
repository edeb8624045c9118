"""RDB*, the residual dense block of RED (section 3.1.1, Figure 3), and the canonical block it is compared with.

    o_1 = conv(x),  o_j = conv(LReLU[x, o_1, ..., o_(j-1)]),  y = conv1x1[x, o_1, ..., o_n] + x        RDB*
    o_1 = LReLU(conv(x)),  o_j = LReLU(conv[x, o_1, ..., o_(j-1)]),  y as above                        canonical

In RDB* the layers read rectified features while the 1x1 convolution reads them unrectified. Growth 32, no biases.
The released code does not rectify the features in front of the last layer (slope 1); `last_slope=0.2` is the paper's.
"""

from __future__ import annotations

from typing import Protocol

import flax.linen as nn
import jax
import jax.numpy as jnp

from ultrabm_jax.layers.conv import leaky_relu
from ultrabm_jax.models.red.weight_norm import WeightNormConv

GROWTH = 32
SLOPE = 0.2  # of every other LeakyReLU


class MakeConv(Protocol):
    """`WeightNormConv` with the network's options bound."""

    def __call__(
        self, features: int, *, kernel: int = ..., use_bias: bool = ..., slope: float = ..., name: str | None = ...
    ) -> WeightNormConv: ...


class DenseBlock(nn.Module):
    """(b, h, w, width) -> (b, h, w, width)."""

    conv: MakeConv
    layers: int
    last_slope: float = 1.0
    canonical: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        features = [x]
        for j in range(1, self.layers + 1):
            features.append((self._canonical_layer if self.canonical else self._layer)(features, j))
        fused = self.conv(x.shape[-1], kernel=1, use_bias=False, name="fuse")(jnp.concatenate(features, axis=-1))
        return fused + x

    def _layer(self, features: list[jax.Array], j: int) -> jax.Array:
        # Slope 1 does not rectify: the block's input in front of the first layer, and the release's last layer.
        slope = 1.0 if j == 1 else self.last_slope if j == self.layers else SLOPE
        x = jax.nn.leaky_relu(jnp.concatenate(features, axis=-1), slope)
        return self.conv(GROWTH, use_bias=False, slope=slope, name=f"layer{j}")(x)

    def _canonical_layer(self, features: list[jax.Array], j: int) -> jax.Array:
        x = jnp.concatenate(features, axis=-1)
        return leaky_relu(self.conv(GROWTH, use_bias=False, slope=SLOPE, name=f"layer{j}")(x))
