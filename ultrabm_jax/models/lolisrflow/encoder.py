"""Encoder of LoLiSRFlow: branches at parallel resolutions of transformer blocks that exchange features.

    branch r = 0, 1, 2 at 1 / 2^r of the low-light image's size, all of the same width
    each stage: transformer blocks in every branch, then every branch adds the selective fusion of all three, resized by
    conv1x1 and mean pooling (down) or conv1x1 and bilinear interpolation (up)

The sources only state "multi-resolution parallel transformer" and that features of several scales are mixed. The layers
are ours: Restormer's blocks (transformer_block.py) and MIRNet-v2's fusion (layers/selective_fusion.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ultrabm_jax.layers.conv import Conv, leaky_relu
from ultrabm_jax.layers.pixel_shuffle import pixel_shuffle
from ultrabm_jax.layers.pooling import mean_pool
from ultrabm_jax.layers.resampling import bilinear
from ultrabm_jax.layers.selective_fusion import SelectiveFusion
from ultrabm_jax.models.lolisrflow.transformer_block import TransformerBlock

BRANCHES = 3
MULTIPLE = 2 ** (BRANCHES - 1)  # the input's sides must be multiples of this


class ParallelEncoder(nn.Module):
    """(b, h, w, any) -> branches (b, h / 2^r, w / 2^r, width), finest first; h and w multiples of `MULTIPLE`."""

    width: int
    stages: int = 3
    blocks: int = 2  # per stage and branch
    remat: bool = False
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> list[jax.Array]:
        branches = [Conv(self.width, use_bias=True, dtype=self.dtype, name="stem")(x)]
        for r in range(1, BRANCHES):
            down = Conv(self.width, stride=2, use_bias=True, dtype=self.dtype, name=f"down{r}")
            branches.append(down(branches[-1]))
        block = nn.remat(TransformerBlock) if self.remat else TransformerBlock
        for stage in range(1, self.stages + 1):
            for r, branch in enumerate(branches):
                for i in range(1, self.blocks + 1):
                    name = f"stage{stage}_branch{r}_block{i}"
                    branch = block(self.width, heads=2**r, dtype=self.dtype, name=name)(branch)
                branches[r] = branch
            branches = Exchange(self.width, dtype=self.dtype, name=f"stage{stage}_exchange")(branches)
        return branches


class Exchange(nn.Module):
    """Adds to every branch the fusion of all branches, resized to it."""

    width: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, branches: Sequence[jax.Array]) -> list[jax.Array]:
        out = []
        for r, branch in enumerate(branches):
            resized = [self._resize(other, q, r) for q, other in enumerate(branches)]
            fusion = SelectiveFusion(self.width, dtype=self.dtype, name=f"fusion{r}")
            out.append(branch + fusion(resized))
        return out

    def _resize(self, x: jax.Array, q: int, r: int) -> jax.Array:
        """Branch q with the size of branch r."""
        if q == r:
            return x
        x = Conv(self.width, kernel=1, dtype=self.dtype, name=f"from{q}_to{r}")(x)
        return bilinear(x, 2 ** (q - r)) if q > r else mean_pool(x, 2 ** (r - q))


class PixelShuffleUp(nn.Module):
    """(b, h, w, any) -> (b, 2 h, 2 w, width): 3x3 convolution to 4 * width, pixel shuffle, LeakyReLU."""

    width: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = Conv(4 * self.width, use_bias=True, dtype=self.dtype, name="conv")(x)
        return leaky_relu(pixel_shuffle(x, 2))
