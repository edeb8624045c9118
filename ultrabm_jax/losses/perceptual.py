"""Losses on the features of a frozen network, one value per example (b,): VGG features, and LPIPS.

Images are (b, h, w, 3) in [0, 1] and are not clipped. Both losses are constant in the reference: its features get no
gradient.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ultrabm_jax.backbones.vgg import VGG, imagenet_normalise, layer_names
from ultrabm_jax.errors import UserError
from ultrabm_jax.metrics.lpips import lpips
from ultrabm_jax.typing import Variables

DEPTHS = {"vgg16": 16, "vgg19": 19}
# UltraBM's layers on VGG-19. VGG-16 has three convolutions in its deeper levels: each level's last one [ours].
LAYER_WEIGHTS: dict[str, dict[str, float]] = {
    "vgg16": {"conv1_2": 0.1, "conv2_2": 0.1, "conv3_3": 1.0, "conv4_3": 1.0, "conv5_3": 1.0},
    "vgg19": {"conv1_2": 0.1, "conv2_2": 0.1, "conv3_4": 1.0, "conv4_4": 1.0, "conv5_4": 1.0},
}


def perceptual_loss(
    vgg_variables: Variables,
    restored: jax.Array,
    reference: jax.Array,
    *,
    network: str = "vgg19",
    weights: Mapping[str, float] | None = None,
    dtype: DTypeLike = jnp.float32,
) -> jax.Array:
    """Sum over layers l of w_l mean|phi_l(restored) - phi_l(reference)|, with phi before the ReLU.

    This is UltraBM's L_P without its weight of 1.2. Images are normalised by the ImageNet statistics and not clamped,
    as in the released UltraIS code. `network` is "vgg16" or "vgg19", `weights` the w_l by layer (None: `LAYER_WEIGHTS`)
    and `dtype` the compute type of the network; the means are always float32.

    Raises UserError for an unknown network or layer.
    """
    weights = _layer_weights(network, weights)
    deepest = max(weights, key=layer_names(DEPTHS[network]).index)
    vgg = VGG(depth=DEPTHS[network], dtype=dtype)

    def features(image: jax.Array) -> dict[str, jax.Array]:
        return vgg.apply(vgg_variables, imagenet_normalise(image), upto=deepest)

    ours, theirs = features(restored), features(jax.lax.stop_gradient(reference))
    distances = jnp.stack([weight * _mean_abs(ours[name], theirs[name]) for name, weight in weights.items()])
    return jnp.sum(distances, axis=0)


def lpips_loss(variables: Variables, restored: jax.Array, reference: jax.Array, *, network: str = "vgg") -> jax.Array:
    """LPIPS v0.1 (Zhang et al. 2018) as the metric computes it, without rounding to 8 bits.

    `variables` are those of `backbones.pretrained.load_lpips(network)`, with `network` "alex" or "vgg". The gradient is
    finite everywhere: an all-zero feature vector, as black images have, gets none instead of an infinite one.
    """
    return lpips(variables, restored, jax.lax.stop_gradient(reference), network=network)


def _layer_weights(network: str, weights: Mapping[str, float] | None) -> Mapping[str, float]:
    if network not in DEPTHS:
        raise UserError(f"unknown perceptual network {network!r}; known: {', '.join(DEPTHS)}")
    chosen = LAYER_WEIGHTS[network] if weights is None else weights
    unknown = [name for name in chosen if name not in layer_names(DEPTHS[network])]
    if unknown or not chosen:
        known = ", ".join(layer_names(DEPTHS[network]))
        raise UserError(f"{network} has no layer {', '.join(unknown) or '(none given)'}; it has {known}")
    return chosen


def _mean_abs(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.mean(jnp.abs(a.astype(jnp.float32) - b.astype(jnp.float32)), axis=(1, 2, 3))
