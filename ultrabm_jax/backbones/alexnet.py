"""AlexNet's convolutions as LPIPS uses them (Krizhevsky 2014, the one-column variant of torchvision).

Input: (b, h, w, 3), normalised as LPIPS does it, with sides of at least 31 pixels; smaller ones leave nothing for the
second 3x3 max pool. Output: {"conv1", ..., "conv5"}, each after its ReLU.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ultrabm_jax.errors import UserError
from ultrabm_jax.layers.winograd_conv import Conv3x3

MIN_SIDE = 31
# name, features, kernel, stride, padding, whether a max pool precedes it
LAYERS = (
    ("conv1", 64, 11, 4, 2, False),
    ("conv2", 192, 5, 1, 2, True),
    ("conv3", 384, 3, 1, 1, True),
    ("conv4", 256, 3, 1, 1, False),
    ("conv5", 256, 3, 1, 1, False),
)


class AlexNet(nn.Module):
    """(b, h, w, 3) -> {layer: features after the ReLU}. `dtype` is the computation type; parameters are float32."""

    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> dict[str, jax.Array]:
        if min(x.shape[1:3]) < MIN_SIDE:
            raise UserError(f"AlexNet needs at least {MIN_SIDE}x{MIN_SIDE} pixels, got {x.shape[1]}x{x.shape[2]}")
        features: dict[str, jax.Array] = {}
        for name, width, kernel, stride, padding, pool in LAYERS:
            if pool:
                x = nn.max_pool(x, (3, 3), (2, 2), "VALID")
            if kernel == 3:
                x = Conv3x3(width, dtype=self.dtype, name=name)(x)
            else:
                x = nn.Conv(width, (kernel, kernel), stride, padding, dtype=self.dtype, name=name)(x)
            x = features[name] = nn.relu(x)
        return features
