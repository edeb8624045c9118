"""LPIPS v0.1 (Zhang et al. 2018), per image, on AlexNet or VGG-16.

Images in -1..1 are shifted, scaled and passed through the trunk. The features of each layer are divided by their norm
over the channels (+1e-10); their squared differences are weighted by the heads, averaged over positions and summed over
layers. Common mistakes are to feed [0, 1] instead of -1..1, or BGR instead of RGB (the UltraIS release feeds BGR).

`lpips` is a pure function of its variables, for jitted programs and losses. The named protocols load the variables
themselves and round to 8 bits first, so that a restored array and the PNG written from it have the same value.
"""

from __future__ import annotations

import functools
import os
from typing import TypeAlias

import jax
import jax.numpy as jnp

from ultrabm_jax.backbones.alexnet import AlexNet
from ultrabm_jax.backbones.pretrained import load_lpips
from ultrabm_jax.backbones.vgg import VGG
from ultrabm_jax.errors import UserError
from ultrabm_jax.metrics.features import FeatureMetric
from ultrabm_jax.metrics.images import PEAK, AssetFolder, to_8bit
from ultrabm_jax.typing import Array, Params, Variables

SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)
EPS = 1e-10


Features: TypeAlias = dict[str, jax.Array]  # layer with a head: features of norm 1


def lpips(variables: Variables, a: jax.Array, b: jax.Array, *, network: str) -> jax.Array:
    """LPIPS, (b,), of images (b, h, w, 3) in [0, 1].

    `variables` are those of `backbones.pretrained.load_lpips(network)`, with `network` "alex" or "vgg".
    """
    return _distance(variables, *(_features(variables, image, network) for image in (a, b)))


def _features_from_assets(network: str, image: Array, *, assets: AssetFolder = None) -> Features:
    return _features_of_8bit(_variables(network, assets), image, network)


def _distance_from_assets(network: str, a: Features, b: Features, *, assets: AssetFolder = None) -> jax.Array:
    return _jitted_distance(_variables(network, assets), a, b)


# LPIPS on AlexNet and VGG-16; the option `assets` is a folder searched first for the weights.
lpips_alex, lpips_vgg = (
    FeatureMetric(functools.partial(_features_from_assets, network), functools.partial(_distance_from_assets, network))
    for network in ("alex", "vgg")
)


@functools.partial(jax.jit, static_argnames="network")
def _features_of_8bit(variables: Variables, image: Array, network: str) -> Features:
    return _features(variables, to_8bit(image) / PEAK, network)


def _variables(network: str, assets: AssetFolder) -> Variables:
    return _load_once(network, None if assets is None else os.fspath(assets), os.environ.get("ULTRABM_ASSETS"))


@functools.lru_cache(maxsize=4)
def _load_once(network: str, folder: str | None, _environment: str | None) -> Variables:
    """Cached, since an evaluation needs them for every image; the files do not change during a program."""
    return jax.device_put(load_lpips(network, folder=folder))


def _features(variables: Variables, image: jax.Array, network: str) -> Features:
    """Of images (b, h, w, 3) in [0, 1]."""
    activations = _activations(variables["params"], 2.0 * image - 1.0, network)
    return {name: _unit_norm(activations[name]) for name in variables["heads"]}


def _activations(params: Params, image: jax.Array, network: str) -> dict[str, jax.Array]:
    x = (image - jnp.asarray(SHIFT, image.dtype)) / jnp.asarray(SCALE, image.dtype)
    if network == "alex":
        return AlexNet().apply({"params": params}, x)
    if network == "vgg":
        return jax.tree.map(jax.nn.relu, VGG(depth=16).apply({"params": params}, x))
    raise UserError(f"LPIPS has the networks alex and vgg, not {network!r}")


def _distance(variables: Variables, a: Features, b: Features) -> jax.Array:
    distances = [_layer_distance(a[name], b[name], head) for name, head in variables["heads"].items()]
    return jnp.sum(jnp.stack(distances), axis=0)


_jitted_distance = jax.jit(_distance)


def _layer_distance(a: jax.Array, b: jax.Array, head: jax.Array) -> jax.Array:
    # A sum of products: accelerators compute matrix products at lower precision.
    return jnp.mean(jnp.sum(jnp.square(a - b) * head, axis=-1), axis=(1, 2))


def _unit_norm(x: jax.Array) -> jax.Array:
    """x / (|x| + eps); an all-zero vector gets no gradient instead of an infinite one."""
    squared = jnp.sum(jnp.square(x), axis=-1, keepdims=True)
    positive = squared > 0
    norm = jnp.where(positive, jnp.sqrt(jnp.where(positive, squared, 1.0)), 0.0)
    return x / (norm + EPS)
