"""RDB*, the residual dense block of RED (section 3.1.1 and Figure 3), beside the canonical one.

    o_1 = conv(x),  o_j = conv(LReLU[x, o_1, ..., o_(j-1)]),  y = conv1x1[x, o_1, ..., o_n] + x        RDB*
    o_1 = LReLU(conv(x)),  o_j = LReLU(conv[x, o_1, ..., o_(j-1)]),  y as above                        canonical

In RDB* a layer reads rectified features, x among them, while the 1x1 convolution sees them as they are. No biases.
Released code: the last layer of a block reads its features unrectified (slope 1); `last_slope` 0.2 is the paper's.
"""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from ultrabm_jax.layers.conv import leaky_relu

GROWTH = 32
SLOPE = 0.2

MakeConv = Callable[..., Callable[[jax.Array], jax.Array]]  # (features, kernel=, slope=, name=) -> layer without bias


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
        # 1: nothing is rectified, neither the raw input of the first layer nor that of the release's last
        slope = 1.0 if j == 1 else self.last_slope if j == self.layers else SLOPE
        x = jax.nn.leaky_relu(jnp.concatenate(features, axis=-1), slope)
        return self.conv(GROWTH, use_bias=False, slope=slope, name=f"layer{j}")(x)

    def _canonical_layer(self, features: list[jax.Array], j: int) -> jax.Array:
        x = jnp.concatenate(features, axis=-1)
        return leaky_relu(self.conv(GROWTH, use_bias=False, slope=SLOPE, name=f"layer{j}")(x))
