"""Modulation unit of UltraBM (equations 2 to 4): guidance features modulate reflection features.

The illumination modulation unit (IMU) and the semantic modulation unit (SMU) share this design: transposed attention
with queries from the guidance, then a gated feed-forward network (layers/transposed_attention.py). Decisions where the
sources disagree or give no details:

- Equation 3 calls S a sigmoid and x element-wise; text, figure and released code have a softmax and a matrix product,
  as here.
- Both inputs go through the same LayerNorm parameters (code).
- The 3x3 convolution of the query is dense in the code (`query="dense"`), those of key and value are depthwise; text
  and figure say depthwise for all (`query="depthwise"`).
- Two heads in the code; the C x C attention map of the text is that of one (`heads`).
- `skip`: the figure adds the attention output to the raw features ("raw"), the code to the normalised ones
  ("normalised").
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ultrabm_jax.layers.conv import Conv
from ultrabm_jax.layers.resampling import nearest
from ultrabm_jax.layers.transposed_attention import GatedFeedForward, LayerNorm, TransposedAttention


class GuidedAttention(TransposedAttention):
    """Queries from the guidance, keys and values from the features: two (b, h, w, width) -> (b, h, w, width)."""

    query: str = "dense"

    @nn.compact
    def __call__(self, features: jax.Array, guidance: jax.Array) -> jax.Array:
        q = Conv(self.width, kernel=1, dtype=self.dtype, name="q")(guidance)
        groups = self.width if self.query == "depthwise" else 1
        q = Conv(self.width, groups=groups, dtype=self.dtype, name="q_conv")(q)
        kv = Conv(2 * self.width, kernel=1, dtype=self.dtype, name="kv")(features)
        kv = Conv(2 * self.width, groups=2 * self.width, dtype=self.dtype, name="kv_conv")(kv)
        return self.attend(q, *jnp.split(kv, 2, axis=-1))


class ModulationUnit(nn.Module):
    """Features (b, h, w, width), guidance (b, any, any, any) -> modulated features (b, h, w, width).

    The guidance is projected to `width` channels if it has another number, then resized to (h, w) by nearest neighbour.
    """

    width: int
    skip: str = "raw"
    heads: int = 2
    query: str = "dense"
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, features: jax.Array, guidance: jax.Array) -> jax.Array:
        if guidance.shape[-1] != self.width:
            guidance = Conv(self.width, kernel=1, use_bias=True, dtype=self.dtype, name="conv_guidance")(guidance)
        h, w = features.shape[1:3]
        guidance = nearest(guidance, (h, w))
        norm1 = LayerNorm(dtype=self.dtype, name="norm1")
        normalised = norm1(features)
        attention = GuidedAttention(self.width, self.heads, self.dtype, query=self.query, name="attention")
        attended = attention(normalised, norm1(guidance))
        x = attended + (normalised if self.skip == "normalised" else features)
        norm2 = LayerNorm(dtype=self.dtype, name="norm2")
        return x + GatedFeedForward(self.width, dtype=self.dtype, name="ffn")(norm2(x))
