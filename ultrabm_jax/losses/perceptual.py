"""Perceptual loss on VGG features, per example.

sum over layers l of w_l mean|phi_l(restored) - phi_l(reference)|, phi before the ReLU; both images (b, h, w, 3) are
normalised by the ImageNet statistics and not clamped, as in the released UltraIS code (UltraBM's L_P, without its
weight of 1.2). The UltraBM layers on VGG-19 are conv1_2, conv2_2 at 0.1 and conv3_4, conv4_4, conv5_4 at 1. VGG-16 has
three convolutions in its last levels, so the corresponding last layers are conv3_3, conv4_3, conv5_3 [ours].
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from ultrabm_jax.backbones.vgg import VGG, imagenet_normalise, layer_names
from ultrabm_jax.errors import UserError

DEPTHS = {"vgg16": 16, "vgg19": 19}
LAYER_WEIGHTS: dict[str, dict[str, float]] = {
    "vgg16": {"conv1_2": 0.1, "conv2_2": 0.1, "conv3_3": 1.0, "conv4_3": 1.0, "conv5_3": 1.0},
    "vgg19": {"conv1_2": 0.1, "conv2_2": 0.1, "conv3_4": 1.0, "conv4_4": 1.0, "conv5_4": 1.0},
}


def perceptual_loss(
    vgg_variables: Mapping[str, Any],
    restored: jax.Array,
    reference: jax.Array,
    *,
    network: str = "vgg19",
    weights: Mapping[str, float] | None = None,
    dtype: Any = jnp.float32,
) -> jax.Array:
    """(b,); `dtype` is the compute type of the network, the means are always float32. Constant in the reference."""
    weights = _layer_weights(network, weights)
    deepest = max(weights, key=layer_names(DEPTHS[network]).index)
    vgg = VGG(depth=DEPTHS[network], dtype=dtype)

    def features(image: jax.Array) -> Any:
        return vgg.apply(vgg_variables, imagenet_normalise(image), upto=deepest)

    ours, theirs = features(restored), features(jax.lax.stop_gradient(reference))
    distances = jnp.stack([weight * _mean_abs(ours[name], theirs[name]) for name, weight in weights.items()])
    return jnp.sum(distances, axis=0)


def _layer_weights(network: str, weights: Mapping[str, float] | None) -> Mapping[str, float]:
    if network not in DEPTHS:
        raise UserError(f"the perceptual loss knows {', '.join(DEPTHS)}, not {network!r}")
    chosen = LAYER_WEIGHTS[network] if weights is None else weights
    unknown = [name for name in chosen if name not in layer_names(DEPTHS[network])]
    if unknown or not chosen:
        known = ", ".join(layer_names(DEPTHS[network]))
        raise UserError(f"{network} has no layer {', '.join(unknown) or '(none given)'}; it has {known}")
    return chosen


def _mean_abs(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.mean(jnp.abs(a.astype(jnp.float32) - b.astype(jnp.float32)), axis=(1, 2, 3))
