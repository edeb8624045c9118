"""Modulation unit: guidance features steer reflection features by attention between channels.

UltraBM equations 2 to 4; the IMU (illumination) and the SMU (semantics) share this design. The parts are Restormer's
transposed attention and gated feed-forward network. Read from the released UltraIS code where the paper is silent:

- Equation 3 calls S a sigmoid and x element-wise; text, figure and code have a softmax and a matrix product.
- Both inputs go through the *same* LayerNorm; the query's 3x3 convolution is a full one, key's and value's depthwise.
- Queries and keys are normalised over positions, so the attention map is (c / heads, c / heads) per head.
- `skip`: the figure adds the attention output to the raw features ("raw"), the code to the normalised ones
  ("normalised").
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ultrabm_jax.layers.conv import Conv
from ultrabm_jax.layers.resize import nearest
from ultrabm_jax.layers.statistics import shared_statistic

EXPANSION = 2.66


class LayerNorm(nn.Module):
    """Over the channels of each pixel, epsilon 1e-5, computed in float32."""

    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        # The two-pass variance: E[x^2] - E[x]^2 loses the digits that the parity values need.
        norm = nn.LayerNorm(epsilon=1e-5, use_fast_variance=False, dtype=jnp.float32, name="norm")
        return norm(x.astype(jnp.float32)).astype(self.dtype)


class AttentionBetweenChannels(nn.Module):
    """Restormer's transposed attention, what follows queries, keys and values; those are of the subclasses."""

    width: int
    heads: int = 2
    dtype: DTypeLike = jnp.float32

    def attended(self, q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
        """(b, h, w, c) each -> (b, h, w, c); to be called within a compact method."""
        temperature = self.param("temperature", nn.initializers.ones, (self.heads,))
        attention = jax.nn.softmax(self._similarity(q, k) * temperature[:, None, None], axis=-1)
        attention = shared_statistic(self, "attention", attention).astype(self.dtype)
        out = jnp.einsum("bnde,bhwne->bhwnd", attention, self._split(v))
        return Conv(self.width, kernel=1, dtype=self.dtype, name="project")(out.reshape(q.shape))

    def _split(self, x: jax.Array) -> jax.Array:
        return x.reshape(*x.shape[:-1], self.heads, self.width // self.heads)

    def _similarity(self, q: jax.Array, k: jax.Array) -> jax.Array:
        """Cosine between each query channel d and key channel e over all positions: (b, n, d, e), float32."""
        q, k = self._split(q).astype(jnp.float32), self._split(k).astype(jnp.float32)
        product = jnp.einsum("bhwnd,bhwne->bnde", q, k)
        # Two divisions: the product of two smallest norms is no float32 number any more in the gradient.
        return product / _norm(q)[..., :, None] / _norm(k)[..., None, :]


def _norm(x: jax.Array) -> jax.Array:
    """Length over positions, at least 1e-12 (with a gradient of zero there): (b, h, w, n, d) -> (b, n, d)."""
    return jnp.sqrt(jnp.maximum(jnp.sum(x * x, axis=(1, 2)), 1e-24))


class ChannelAttention(AttentionBetweenChannels):
    """Queries from the guidance, keys and values from the features; (b, h, w, c) each -> (b, h, w, c)."""

    @nn.compact
    def __call__(self, features: jax.Array, guidance: jax.Array) -> jax.Array:
        q = Conv(self.width, kernel=1, dtype=self.dtype, name="q")(guidance)
        q = Conv(self.width, dtype=self.dtype, name="q_conv")(q)
        kv = Conv(2 * self.width, kernel=1, dtype=self.dtype, name="kv")(features)
        kv = Conv(2 * self.width, groups=2 * self.width, dtype=self.dtype, name="kv_conv")(kv)
        return self.attended(q, *jnp.split(kv, 2, axis=-1))


class GatedFeedForward(nn.Module):
    """Restormer's GDFN: (b, h, w, c) -> (b, h, w, c); hidden width int(2.66 c), tanh form of GELU."""

    width: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        hidden = int(self.width * EXPANSION)
        x = Conv(2 * hidden, kernel=1, dtype=self.dtype, name="project_in")(x)
        x = Conv(2 * hidden, groups=2 * hidden, dtype=self.dtype, name="conv")(x)
        a, b = jnp.split(x, 2, axis=-1)
        return Conv(self.width, kernel=1, dtype=self.dtype, name="project_out")(jax.nn.gelu(a, approximate=True) * b)


class ModulationUnit(nn.Module):
    """Features (b, h, w, width) modulated by guidance (b, any, any, any) -> (b, h, w, width)."""

    width: int
    skip: str = "raw"
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, features: jax.Array, guidance: jax.Array) -> jax.Array:
        if guidance.shape[-1] != self.width:
            guidance = Conv(self.width, kernel=1, use_bias=True, dtype=self.dtype, name="conv_guidance")(guidance)
        h, w = features.shape[1:3]
        guidance = nearest(guidance, (h, w))
        norm1 = LayerNorm(dtype=self.dtype, name="norm1")
        normalised = norm1(features)
        attended = ChannelAttention(self.width, dtype=self.dtype, name="attention")(normalised, norm1(guidance))
        x = attended + (normalised if self.skip == "normalised" else features)
        norm2 = LayerNorm(dtype=self.dtype, name="norm2")
        return x + GatedFeedForward(self.width, dtype=self.dtype, name="ffn")(norm2(x))
