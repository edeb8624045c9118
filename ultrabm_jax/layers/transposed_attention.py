"""Parts of Restormer's transformer block (Zamir et al. 2022) that UltraBM and LoLiSRFlow share.

Transposed attention attends between channels instead of positions: the attention map of each of the n heads is
(c / n, c / n) for any image size. Queries and keys are L2-normalised over positions.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ultrabm_jax.layers.canvas import zero_outside
from ultrabm_jax.layers.conv import Conv
from ultrabm_jax.layers.parameters import param
from ultrabm_jax.layers.tile_statistics import shared_statistic

EXPANSION = 2.66  # hidden width of the feed-forward network over its width


class LayerNorm(nn.Module):
    """Layer normalisation over the channels of each pixel, with scale and bias; epsilon 1e-5, computed in float32."""

    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        # Two-pass variance: E[x^2] - E[x]^2 cancels too many digits for the parity tests.
        norm = nn.LayerNorm(epsilon=1e-5, use_fast_variance=False, dtype=jnp.float32, name="norm")
        return norm(x.astype(jnp.float32)).astype(self.dtype)


class TransposedAttention(nn.Module):
    """Base class: attention of given queries, keys and values. Subclasses compute the three."""

    width: int
    heads: int = 2
    dtype: DTypeLike = jnp.float32

    def attend(self, q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
        """Three (b, h, w, width) -> (b, h, w, width). Call it from a compact method: it creates parameters."""
        temperature = param(self, "temperature", nn.initializers.ones, (self.heads,))
        attention = jax.nn.softmax(self._cosine_similarity(q, k) * temperature[:, None, None], axis=-1)
        attention = shared_statistic(self, "attention", attention).astype(self.dtype)
        out = jnp.einsum("bnde,bhwne->bhwnd", attention, self._split_heads(v))
        return Conv(self.width, kernel=1, dtype=self.dtype, name="project")(out.reshape(q.shape))

    def _split_heads(self, x: jax.Array) -> jax.Array:
        return x.reshape(*x.shape[:-1], self.heads, self.width // self.heads)

    def _cosine_similarity(self, q: jax.Array, k: jax.Array) -> jax.Array:
        """Between query channel d and key channel e of head n, over all positions: (b, n, d, e), float32."""
        q, k = (self._split_heads(zero_outside(x)).astype(jnp.float32) for x in (q, k))
        product = jnp.einsum("bhwnd,bhwne->bnde", q, k)
        # Divide twice: the product of two norms of 1e-12 underflows in the gradient.
        return product / _norm(q)[..., :, None] / _norm(k)[..., None, :]


def _norm(x: jax.Array) -> jax.Array:
    """L2 norm over positions, at least 1e-12 (zero gradient there): (b, h, w, n, d) -> (b, n, d)."""
    return jnp.sqrt(jnp.maximum(jnp.sum(x * x, axis=(1, 2)), 1e-24))


class GatedFeedForward(nn.Module):
    """Restormer's gated feed-forward network (GDFN): (b, h, w, width) -> (b, h, w, width).

    Hidden width int(2.66 * width); GELU in its tanh form; no biases.
    """

    width: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        hidden = int(self.width * EXPANSION)
        x = Conv(2 * hidden, kernel=1, dtype=self.dtype, name="project_in")(x)
        x = Conv(2 * hidden, groups=2 * hidden, dtype=self.dtype, name="conv")(x)
        a, b = jnp.split(x, 2, axis=-1)
        return Conv(self.width, kernel=1, dtype=self.dtype, name="project_out")(jax.nn.gelu(a, approximate=True) * b)
