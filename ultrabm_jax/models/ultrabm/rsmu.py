"""Resolution-sensitive merging up-sampler (RSMU) of UltraBM: branches at several resolutions that are merged.

    step 1   branch i is enlarged to 2^i times the size, i = 0 .. 1 or 2
    step 2   FSI: the branches exchange features (equation 5)
    step 3   every branch is enlarged to the final size
    fusion   1x1 convolutions of all branches give RGB

Parameter names call the steps "stage1" and "stage3", as the released state dict does. Where the paper and the released
UltraIS code disagree:

- `step1`: pixel shuffle in the paper ("pixelshuffle"), bilinear resizing and a convolution in the code ("bilinear").
- `fsi_order`: equation 5 updates all branches from the old ones ("parallel"); the code goes from the finest to the
  coarsest and replaces each branch before it computes the next ("sequential").
- `branches`: {1, 2} at x2 and {1, 2, 4} at x4 in the code ("scale"); always {1, 2, 4} in the paper ("three"), which
  does not say how step 3 brings branch 4 to a final size of x2: as FSI goes down.
- `down`: a 1x1 convolution with the stride of the ratio in the code ("pointwise"). The paper's "transposed convolution
  down-sampling with a stride of 2" contradicts itself, as a transposed convolution enlarges; "transposed" is the
  convolution whose transpose doubles the size: 3x3 with stride 2, once for each halving.
- The code keeps the convolutions of steps 1 and 3 in a plain dict, so they are never trained, saved or counted. Here
  they are ordinary parameters (`stage1_*` and `stage3_*`).
- The code ends in a LeakyReLU on RGB; `final_act="none"` leaves it out.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ultrabm_jax.layers.conv import Conv, leaky_relu
from ultrabm_jax.layers.pixel_shuffle import pixel_shuffle
from ultrabm_jax.layers.resampling import bicubic, bilinear
from ultrabm_jax.layers.selective_fusion import SelectiveFusion
from ultrabm_jax.models.ultrabm.context_unit import ContextUnit


class FeatureExchange(nn.Module):
    """FSI: branches from coarse to fine, each twice the size of the last -> branches of the same shapes."""

    width: int
    order: str = "parallel"
    down: str = "pointwise"
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, branches: list[jax.Array]) -> list[jax.Array]:
        branches = [ContextUnit(self.width, dtype=self.dtype, name=f"unit{i}")(x) for i, x in enumerate(branches)]
        fused = list(branches)
        for i in reversed(range(len(branches))):
            sources = fused if self.order == "sequential" else branches
            resized = [self._resize(x, source=j, target=i) for j, x in enumerate(sources)]
            fused[i] = SelectiveFusion(self.width, dtype=self.dtype, name=f"fusion{i}")(resized)
        return [Conv(self.width, kernel=1, dtype=self.dtype, name=f"out{i}")(x) for i, x in enumerate(fused)]

    def _resize(self, x: jax.Array, *, source: int, target: int) -> jax.Array:
        if target > source:
            return bilinear(x, 2 ** (target - source))
        if target < source:
            name = f"down{source}to{target}"
            return _halve(x, times=source - target, kind=self.down, dtype=self.dtype, name=name)
        return x


class RSMU(nn.Module):
    """(b, h, w, width) -> (b, scale * h, scale * w, 3), not clipped."""

    width: int
    scale: int = 2
    step1: str = "pixelshuffle"
    fsi: bool = True
    fsi_order: str = "parallel"
    final_act: str = "lrelu"
    branches: str = "scale"
    down: str = "pointwise"
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        final = self.scale.bit_length() - 1
        last = 2 if self.branches == "three" else final
        branches = [self._step1(x, branch=i) for i in range(last + 1)]
        self._sow("rsmu_stage1", branches)
        if self.fsi:
            exchange = FeatureExchange(self.width, self.fsi_order, self.down, self.dtype, name="fsi")
            branches = exchange(branches)
            self._sow("rsmu_fsi", branches)
        branches = [self._step3(x, branch=i, steps=final - i) for i, x in enumerate(branches)]
        self._sow("rsmu_stage3", branches)
        x = Conv(self.width, kernel=1, dtype=self.dtype, name="fuse")(jnp.concatenate(branches, axis=-1))
        self.sow("intermediates", "rsmu_fuse", x)
        rgb = Conv(3, kernel=1, dtype=self.dtype, name="rgb")(leaky_relu(x)).astype(jnp.float32)
        self.sow("intermediates", "rgb_preact", rgb)
        return leaky_relu(rgb) if self.final_act == "lrelu" else rgb

    def _step1(self, x: jax.Array, *, branch: int) -> jax.Array:
        for step in range(branch):
            name = f"stage1_branch{branch}_{step}"
            if self.step1 == "pixelshuffle":
                x = pixel_shuffle(Conv(4 * self.width, dtype=self.dtype, name=name)(x), 2)
            else:
                x = Conv(self.width, dtype=self.dtype, name=name)(bilinear(x, 2))
            x = leaky_relu(x)
        return x

    def _step3(self, x: jax.Array, *, branch: int, steps: int) -> jax.Array:
        if steps < 0:
            name = f"stage3_branch{branch}_down"
            x = leaky_relu(_halve(x, times=-steps, kind=self.down, dtype=self.dtype, name=name))
        for step in range(steps):
            x = leaky_relu(Conv(self.width, dtype=self.dtype, name=f"stage3_branch{branch}_{step}")(bicubic(x, 2)))
        return x

    def _sow(self, name: str, branches: list[jax.Array]) -> None:
        for i, x in enumerate(branches):
            self.sow("intermediates", f"{name}_x{2**i}", x)


def _halve(x: jax.Array, *, times: int, kind: str, dtype: DTypeLike, name: str) -> jax.Array:
    """(b, h, w, c) -> (b, h / 2^times, w / 2^times, c); makes layers of the calling module, named after `name`."""
    width = x.shape[-1]
    if kind == "pointwise":
        return Conv(width, kernel=1, stride=2**times, dtype=dtype, name=name)(x)
    for step in range(times):
        x = Conv(width, stride=2, dtype=dtype, name=f"{name}_{step}")(x)
    return x


class BilinearUpsampler(nn.Module):
    """Ablation of Table 5(e): bilinear enlargement, then one 3x3 convolution to RGB."""

    scale: int = 2
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return Conv(3, dtype=self.dtype, name="rgb")(bilinear(x, self.scale)).astype(jnp.float32)
