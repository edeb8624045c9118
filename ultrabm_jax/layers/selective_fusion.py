"""Selective kernel feature fusion (SKFF) of MIRNet-v2 (Zamir et al. 2022).

The output is a weighted sum of the branches; the weights come from the pooled sum of all branches. As in the release:
no biases, reduction 8 with at least 4 channels, LeakyReLU with slope 0.2.
"""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ultrabm_jax.layers.canvas import mean_over_positions
from ultrabm_jax.layers.conv import Conv, leaky_relu
from ultrabm_jax.layers.tile_statistics import shared_statistic


class SelectiveFusion(nn.Module):
    """Branches, all of shape (b, h, w, width) -> (b, h, w, width)."""

    width: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, branches: Sequence[jax.Array]) -> jax.Array:
        total = sum(branches[1:], start=branches[0])
        pooled = shared_statistic(self, "pooled", mean_over_positions(total))
        z = leaky_relu(Conv(max(self.width // 8, 4), kernel=1, dtype=self.dtype, name="squeeze")(pooled))
        logits = [Conv(self.width, kernel=1, dtype=self.dtype, name=f"excite{i}")(z) for i in range(len(branches))]
        weights = jax.nn.softmax(jnp.stack(logits).astype(jnp.float32), axis=0).astype(self.dtype)
        return sum((w * x for w, x in zip(weights[1:], branches[1:], strict=True)), start=weights[0] * branches[0])
