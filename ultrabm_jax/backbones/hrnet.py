"""HRNetV2 for semantic segmentation (Wang et al. 2020), as a frozen feature extractor: W48 and W18.

Input (b, h, w, 3); UltraBM feeds RGB in [0,1] without ImageNet normalisation. Output: "stage4", the four maps of
width x (1, 2, 4, 8) channels at 1/4, 1/8, 1/16, 1/32 of the input (sizes rounded up), and "logits", the class scores
before the softmax, (b, h, w, num_classes). Names and structure follow the official HRNet-Semantic-Segmentation
`seg_hrnet.py`; a flax name is the torch path with `_` for the dots in front of indices.

Points where ports go wrong: stride-2 convolutions are padded by (1, 1) on both sides (XLA's "SAME" pads (0, 1)); all
bilinear resizes take half-pixel centres (align_corners=False, as the 480x480 checkpoints were trained); batch
normalisation always uses the stored statistics, eps 1e-5.

W48 with 59 classes has 65,888,219 parameters. Torch also counts 85,842 buffers: mean and variance of 42,768 normalised
channels, which are "batch_stats" here, and one batch counter in each of 306 normalisations, which has no use here.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

STEM = 64
BLOCKS = 4  # bottlenecks of layer1, and residual blocks per branch of every module
MODULES = {2: 1, 3: 4, 4: 3}  # stage: its number of multi-resolution modules; stage n has n branches


class _Block(nn.Module):
    """What all parts share: a compute type, and the two layers under torch's names."""

    dtype: Any = jnp.float32

    def conv_norm(self, x: jax.Array, features: int, names: tuple[str, str], *, kernel: int = 3, stride: int = 1):
        conv, norm = names
        x = nn.Conv(features, (kernel, kernel), stride, kernel // 2, use_bias=False, dtype=self.dtype, name=conv)(x)
        return nn.BatchNorm(use_running_average=True, epsilon=1e-5, dtype=self.dtype, name=norm)(x)

    def chain(self, x: jax.Array, features: int, name: str, *, kernel: int = 3, stride: int = 1) -> jax.Array:
        """An nn.Sequential(conv, norm) of torch, whose parts are numbered 0 and 1."""
        return self.conv_norm(x, features, (f"{name}_0", f"{name}_1"), kernel=kernel, stride=stride)


class Bottleneck(_Block):
    """1x1, 3x3, 1x1 with four times the width at the end; the first of a layer also projects its input."""

    features: int = STEM
    project: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        y = nn.relu(self.conv_norm(x, self.features, ("conv1", "bn1"), kernel=1))
        y = nn.relu(self.conv_norm(y, self.features, ("conv2", "bn2")))
        y = self.conv_norm(y, 4 * self.features, ("conv3", "bn3"), kernel=1)
        return nn.relu(y + (self.chain(x, 4 * self.features, "downsample", kernel=1) if self.project else x))


class BasicBlock(_Block):
    """Two 3x3 convolutions beside the identity."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        y = nn.relu(self.conv_norm(x, x.shape[-1], ("conv1", "bn1")))
        return nn.relu(self.conv_norm(y, x.shape[-1], ("conv2", "bn2")) + x)


class MultiResolution(_Block):
    """Residual branches at every resolution, then each resolution receives the sum of all."""

    @nn.compact
    def __call__(self, maps: list[jax.Array]) -> list[jax.Array]:
        for i in range(len(maps)):
            for block in range(BLOCKS):
                maps = [*maps[:i], BasicBlock(self.dtype, name=f"branches_{i}_{block}")(maps[i]), *maps[i + 1 :]]
        return [nn.relu(sum(self.bring(maps, j, i) for j in range(len(maps)))) for i in range(len(maps))]

    def bring(self, maps: list[jax.Array], source: int, target: int) -> jax.Array:
        """The source map in the target's channels and size."""
        x, like, name = maps[source], maps[target], f"fuse_layers_{target}_{source}"
        if source == target:
            return x
        if source > target:
            return resize_bilinear(self.chain(x, like.shape[-1], name, kernel=1), like.shape[1:3])
        for step in range(target - source - 1):
            x = nn.relu(self.chain(x, x.shape[-1], f"{name}_{step}", stride=2))
        return self.chain(x, like.shape[-1], f"{name}_{target - source - 1}", stride=2)


class HRNet(_Block):
    """Variables: "params" and "batch_stats"; the latter are read, never updated."""

    width: int = 48
    num_classes: int = 59

    @nn.compact
    def __call__(self, x: jax.Array) -> dict[str, Any]:
        size = x.shape[1:3]
        x = nn.relu(self.conv_norm(x, STEM, ("conv1", "bn1"), stride=2))
        x = nn.relu(self.conv_norm(x, STEM, ("conv2", "bn2"), stride=2))
        for block in range(BLOCKS):
            x = Bottleneck(self.dtype, project=block == 0, name=f"layer1_{block}")(x)
        maps = [x]
        for stage, modules in MODULES.items():
            maps = self.add_branch(maps, stage)
            for module in range(modules):
                maps = MultiResolution(self.dtype, name=f"stage{stage}_{module}")(maps)
        return {"stage4": maps, "logits": resize_bilinear(self.classify(maps), size)}

    def add_branch(self, maps: list[jax.Array], stage: int) -> list[jax.Array]:
        """One more resolution, from the coarsest so far; before stage 2 the first branch changes its width too."""
        name, coarsest = f"transition{stage - 1}", maps[-1]
        if stage == 2:
            maps = [nn.relu(self.chain(coarsest, self.width, f"{name}_0"))]
        features = self.width * 2 ** (stage - 1)
        return [*maps, nn.relu(self.chain(coarsest, features, f"{name}_{stage - 1}_0", stride=2))]

    def classify(self, maps: list[jax.Array]) -> jax.Array:
        """Class scores at 1/4 from all resolutions; both 1x1 convolutions have a bias here."""
        finest = maps[0].shape[1:3]
        x = jnp.concatenate([maps[0], *(resize_bilinear(m, finest) for m in maps[1:])], axis=-1)
        x = nn.Conv(x.shape[-1], (1, 1), dtype=self.dtype, name="last_layer_0")(x)
        x = nn.BatchNorm(use_running_average=True, epsilon=1e-5, dtype=self.dtype, name="last_layer_1")(x)
        return nn.Conv(self.num_classes, (1, 1), dtype=self.dtype, name="last_layer_3")(nn.relu(x))


def resize_bilinear(x: jax.Array, size: tuple[int, ...]) -> jax.Array:
    """Enlarge to (h, w) with half-pixel centres; torch's interpolate with align_corners=False."""
    return jax.image.resize(x, (x.shape[0], *size, x.shape[-1]), "linear", antialias=False)
