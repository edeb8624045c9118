"""VGG-16 and VGG-19 convolutions as feature extractors (Simonyan and Zisserman 2015, configurations D and E).

Input: (b, h, w, 3), normalised by `imagenet_normalise`. Output: every 3x3 convolution's features *before* its ReLU,
named conv1_1 to conv5_3 (depth 16) or conv5_4 (depth 19). Level n (conv{n}_*) has 1/2^(n-1) of the input's size; the
2x2 max pools between levels drop an odd last row or column, as torchvision's do. The classifier is left out.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ultrabm_jax.errors import UserError
from ultrabm_jax.layers.canvas import zero_outside

WIDTHS = (64, 128, 256, 512, 512)
CONVS_PER_LEVEL = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def imagenet_normalise(image: jax.Array) -> jax.Array:
    """RGB (..., 3) in [0, 1] -> (image - mean) / std with ImageNet's statistics."""
    mean, std = (jnp.asarray(values, image.dtype) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return (image - mean) / std


def layer_names(depth: int) -> tuple[str, ...]:
    """conv1_1, conv1_2, conv2_1, ... in the order of the network.

    Raises:
      UserError: if the depth is neither 16 nor 19.
    """
    if depth not in CONVS_PER_LEVEL:
        raise UserError(f"VGG has depth 16 or 19, not {depth}")
    return tuple(f"conv{n}_{i}" for n, count in enumerate(CONVS_PER_LEVEL[depth], 1) for i in range(1, count + 1))


class VGG(nn.Module):
    """(b, h, w, 3) -> {layer: features before the ReLU}. `dtype` is the computation type; parameters are float32."""

    depth: int = 16
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, upto: str | None = None) -> dict[str, jax.Array]:
        """Computes the layers up to and including `upto`, by default all.

        Raises:
          UserError: if there is no such layer, or the input is too small to reach it.
        """
        names = layer_names(self.depth)
        if upto is not None and upto not in names:
            raise UserError(f"VGG-{self.depth} has no layer {upto!r}; it has {', '.join(names)}")
        last = upto or names[-1]
        _check_size(x, last)
        features: dict[str, jax.Array] = {}
        for name in names[: names.index(last) + 1]:
            if features:
                x = nn.relu(x)
            if name.endswith("_1") and features:
                x = nn.max_pool(x, (2, 2), (2, 2), "VALID")
            x = nn.Conv(WIDTHS[_level(name) - 1], (3, 3), padding=1, dtype=self.dtype, name=name)(zero_outside(x))
            features[name] = x
        return features


def _level(name: str) -> int:
    return int(name[len("conv")])


def _check_size(x: jax.Array, last: str) -> None:
    smallest = 2 ** (_level(last) - 1)
    if min(x.shape[1:3]) < smallest:
        raise UserError(f"VGG up to {last} needs at least {smallest}x{smallest} pixels, got {x.shape[1]}x{x.shape[2]}")
