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

import jax
import jax.numpy as jnp

from ultrabm_jax.backbones.alexnet import AlexNet
from ultrabm_jax.backbones.pretrained import load_lpips
from ultrabm_jax.backbones.vgg import VGG
from ultrabm_jax.errors import UserError
from ultrabm_jax.metrics.images import PEAK, AssetFolder, to_8bit
from ultrabm_jax.typing import Array, Params, Variables

SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)
EPS = 1e-10


def lpips(variables: Variables, a: jax.Array, b: jax.Array, *, network: str) -> jax.Array:
    """LPIPS, (b,), of images (b, h, w, 3) in [0, 1].

    `variables` are those of `backbones.pretrained.load_lpips(network)`, with `network` "alex" or "vgg".
    """
    ours, theirs = (_features(variables["params"], 2.0 * image - 1.0, network) for image in (a, b))
    distances = [_distance(ours[name], theirs[name], head) for name, head in variables["heads"].items()]
    return jnp.sum(jnp.stack(distances), axis=0)


def lpips_alex(restored: Array, reference: Array, *, assets: AssetFolder = None) -> jax.Array:
    """LPIPS on AlexNet; `assets` is a folder searched first for the weights."""
    return _from_assets("alex", restored, reference, assets)


def lpips_vgg(restored: Array, reference: Array, *, assets: AssetFolder = None) -> jax.Array:
    """LPIPS on VGG-16; `assets` is a folder searched first for the weights."""
    return _from_assets("vgg", restored, reference, assets)


def _from_assets(network: str, restored: Array, reference: Array, assets: AssetFolder) -> jax.Array:
    variables = _load_once(network, None if assets is None else os.fspath(assets), os.environ.get("ULTRABM_ASSETS"))
    return _jitted(variables, to_8bit(restored) / PEAK, to_8bit(reference) / PEAK, network=network)


_jitted = jax.jit(lpips, static_argnames="network")


@functools.lru_cache(maxsize=4)
def _load_once(network: str, folder: str | None, _environment: str | None) -> Variables:
    """Cached, since an evaluation needs them for every image; the files do not change during a program."""
    return load_lpips(network, folder=folder)


def _features(params: Params, image: jax.Array, network: str) -> dict[str, jax.Array]:
    x = (image - jnp.asarray(SHIFT, image.dtype)) / jnp.asarray(SCALE, image.dtype)
    if network == "alex":
        return AlexNet().apply({"params": params}, x)
    if network == "vgg":
        return jax.tree.map(jax.nn.relu, VGG(depth=16).apply({"params": params}, x))
    raise UserError(f"LPIPS has the networks alex and vgg, not {network!r}")


def _distance(a: jax.Array, b: jax.Array, head: jax.Array) -> jax.Array:
    difference = jnp.square(_unit_norm(a) - _unit_norm(b))
    # A sum of products: accelerators compute matrix products at lower precision.
    return jnp.mean(jnp.sum(difference * head, axis=-1), axis=(1, 2))


def _unit_norm(x: jax.Array) -> jax.Array:
    """x / (|x| + eps); an all-zero vector gets no gradient instead of an infinite one."""
    squared = jnp.sum(jnp.square(x), axis=-1, keepdims=True)
    positive = squared > 0
    norm = jnp.where(positive, jnp.sqrt(jnp.where(positive, squared, 1.0)), 0.0)
    return x / (norm + EPS)
