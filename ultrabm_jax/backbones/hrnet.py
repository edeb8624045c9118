"""HRNetV2 for semantic segmentation (Wang et al. 2020) as a frozen feature extractor: W48 and W18.

Input: (b, h, w, 3); UltraBM feeds RGB in [0, 1] without ImageNet's normalisation. Output: {"stage4": four maps with
width x (1, 2, 4, 8) channels at 1/4, 1/8, 1/16 and 1/32 of the input's size (rounded up), "logits": class scores before
the softmax, (b, h, w, num_classes)}.

Structure, stages and names follow `seg_hrnet.py` of the official HRNet-Semantic-Segmentation. A Flax name is the
PyTorch path with "_" instead of the dots before indices, so that the official weights load (backbones/importers.py).

Details that ports often get wrong: stride-2 convolutions pad (1, 1) on both sides (XLA's "SAME" pads (0, 1)); all
bilinear resizes use half-pixel centres (align_corners=False, as for the 480x480 checkpoints); batch normalisation uses
the stored statistics, epsilon 1e-5.

W48 with 59 classes has 65,888,219 parameters. PyTorch also counts 85,842 buffers: mean and variance of 42,768
normalised channels, which are "batch_stats" here, and one batch counter for each of 306 normalisations, not kept here.
"""

from __future__ import annotations

from typing import TypedDict

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ultrabm_jax.layers.canvas import Canvas, current_canvas, zero_outside

STEM = 64  # channels of the stem and of layer1's bottlenecks
BLOCKS = 4  # bottlenecks of layer1, and residual blocks per branch of every module
MODULES = {2: 1, 3: 4, 4: 3}  # stage -> number of multi-resolution modules; stage n has n branches


class HRNetOutput(TypedDict):
    """What `HRNet` returns; see the module's docstring."""

    stage4: list[jax.Array]
    logits: jax.Array


class _Block(nn.Module):
    """Base class: the computation type, and convolution with batch normalisation under PyTorch's names."""

    dtype: DTypeLike = jnp.float32

    def conv_norm(
        self, x: jax.Array, features: int, names: tuple[str, str], *, kernel: int = 3, stride: int = 1
    ) -> jax.Array:
        """Zero-padded convolution without bias, then batch normalisation; `names` are those of the two layers."""
        conv, norm = names
        x = zero_outside(x) if kernel > 1 else x
        x = nn.Conv(features, (kernel, kernel), stride, kernel // 2, use_bias=False, dtype=self.dtype, name=conv)(x)
        y: jax.Array = nn.BatchNorm(use_running_average=True, epsilon=1e-5, dtype=self.dtype, name=norm)(x)
        return y

    def sequential(self, x: jax.Array, features: int, name: str, *, kernel: int = 3, stride: int = 1) -> jax.Array:
        """torch.nn.Sequential(conv, norm), whose layers are numbered 0 and 1."""
        return self.conv_norm(x, features, (f"{name}_0", f"{name}_1"), kernel=kernel, stride=stride)


class Bottleneck(_Block):
    """1x1, 3x3 and 1x1 convolutions, the last with four times the width; `project` adds a 1x1 to the skip."""

    features: int = STEM
    project: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        y = nn.relu(self.conv_norm(x, self.features, ("conv1", "bn1"), kernel=1))
        y = nn.relu(self.conv_norm(y, self.features, ("conv2", "bn2")))
        y = self.conv_norm(y, 4 * self.features, ("conv3", "bn3"), kernel=1)
        return nn.relu(y + (self.sequential(x, 4 * self.features, "downsample", kernel=1) if self.project else x))


class BasicBlock(_Block):
    """Two 3x3 convolutions and a skip connection."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        y = nn.relu(self.conv_norm(x, x.shape[-1], ("conv1", "bn1")))
        return nn.relu(self.conv_norm(y, x.shape[-1], ("conv2", "bn2")) + x)


class MultiResolution(_Block):
    """Residual blocks at every resolution, after which every resolution receives the sum of all."""

    @nn.compact
    def __call__(self, maps: list[jax.Array]) -> list[jax.Array]:
        for i in range(len(maps)):
            for block in range(BLOCKS):
                maps = [*maps[:i], BasicBlock(self.dtype, name=f"branches_{i}_{block}")(maps[i]), *maps[i + 1 :]]
        return [nn.relu(sum(self.resize(maps, j, i) for j in range(len(maps)))) for i in range(len(maps))]

    def resize(self, maps: list[jax.Array], source: int, target: int) -> jax.Array:
        """The source map with the target's channels and size."""
        x, like, name = maps[source], maps[target], f"fuse_layers_{target}_{source}"
        if source == target:
            return x
        if source > target:
            return resize_bilinear(self.sequential(x, like.shape[-1], name, kernel=1), like.shape[1:3])
        for step in range(target - source - 1):
            x = nn.relu(self.sequential(x, x.shape[-1], f"{name}_{step}", stride=2))
        return self.sequential(x, like.shape[-1], f"{name}_{target - source - 1}", stride=2)


class HRNet(_Block):
    """(b, h, w, 3) -> `HRNetOutput`. Variables: "params" and "batch_stats", of which the latter are never updated."""

    width: int = 48
    num_classes: int = 59

    @nn.compact
    def __call__(self, x: jax.Array) -> HRNetOutput:
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
        """Adds a resolution, from the coarsest so far. Before stage 2 the first branch changes its width as well."""
        name, coarsest = f"transition{stage - 1}", maps[-1]
        if stage == 2:
            maps = [nn.relu(self.sequential(coarsest, self.width, f"{name}_0"))]
        features = self.width * 2 ** (stage - 1)
        return [*maps, nn.relu(self.sequential(coarsest, features, f"{name}_{stage - 1}_0", stride=2))]

    def classify(self, maps: list[jax.Array]) -> jax.Array:
        """Class scores at 1/4 of the size from all resolutions. Both 1x1 convolutions have a bias."""
        finest = maps[0].shape[1:3]
        x = jnp.concatenate([maps[0], *(resize_bilinear(m, finest) for m in maps[1:])], axis=-1)
        x = nn.Conv(x.shape[-1], (1, 1), dtype=self.dtype, name="last_layer_0")(x)
        x = nn.BatchNorm(use_running_average=True, epsilon=1e-5, dtype=self.dtype, name="last_layer_1")(x)
        logits: jax.Array = nn.Conv(self.num_classes, (1, 1), dtype=self.dtype, name="last_layer_3")(nn.relu(x))
        return logits


def resize_bilinear(x: jax.Array, size: tuple[int, ...]) -> jax.Array:
    """Enlarges (b, h, w, c) to `size` with half-pixel centres, as torch's interpolate(align_corners=False)."""
    canvas = current_canvas()
    if canvas is None:
        return jax.image.resize(x, (x.shape[0], *size, x.shape[-1]), "linear", antialias=False)
    for axis, length in zip((1, 2), size, strict=True):
        x = _resize_on_canvas(x, length, axis, canvas)
    return x


def _resize_on_canvas(x: jax.Array, length: int, axis: int, canvas: Canvas) -> jax.Array:
    """Enlarges one axis to `length`; the ratio is that of the image's rows or columns, which are rounded up."""
    last = canvas.length(x.shape[axis], axis) - 1
    ratio = (last + 1) / canvas.length(length, axis)
    position = jnp.clip((jnp.arange(length) + 0.5) * ratio - 0.5, 0, last)
    index = jnp.floor(position).astype(jnp.int32)
    shape = [1] * x.ndim
    shape[axis] = length
    weight = (position - index).reshape(shape).astype(x.dtype)
    below, above = (jnp.take(x, i, axis=axis, mode="clip") for i in (index, jnp.minimum(index + 1, last)))
    return below * (1 - weight) + above * weight
