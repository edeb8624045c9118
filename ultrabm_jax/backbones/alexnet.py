"""AlexNet's convolutions as LPIPS uses them (Krizhevsky 2014, torchvision's one-column variant).

Input (b, h, w, 3) in LPIPS's own normalisation; output: conv1 .. conv5 *after* their ReLUs. A side below 31 pixels
leaves nothing for the second 3x3 max pool.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ultrabm_jax.errors import UserError

SMALLEST_SIDE = 31
# name, features, kernel, stride, padding, max pool in front
LAYERS = (
    ("conv1", 64, 11, 4, 2, False),
    ("conv2", 192, 5, 1, 2, True),
    ("conv3", 384, 3, 1, 1, True),
    ("conv4", 256, 3, 1, 1, False),
    ("conv5", 256, 3, 1, 1, False),
)


class AlexNet(nn.Module):
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> dict[str, jax.Array]:
        if min(x.shape[1:3]) < SMALLEST_SIDE:
            raise UserError(f"AlexNet needs at least {SMALLEST_SIDE} pixels a side, got {x.shape[1]}x{x.shape[2]}")
        features: dict[str, jax.Array] = {}
        for name, width, kernel, stride, padding, pooled in LAYERS:
            if pooled:
                x = nn.max_pool(x, (3, 3), (2, 2), "VALID")
            x = nn.Conv(width, (kernel, kernel), stride, padding, dtype=self.dtype, name=name)(x)
            x = features[name] = nn.relu(x)
        return features
