"""Importers of the feature extractors' PyTorch state dicts: torchvision VGG and AlexNet, official HRNet.

The modules' parameter names mirror the foreign ones closely enough that one renaming rule each is the whole map.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from ultrabm_jax.backbones.alexnet import AlexNet
from ultrabm_jax.backbones.hrnet import HRNet
from ultrabm_jax.backbones.vgg import VGG, layer_names
from ultrabm_jax.storage.state_dict import Reader, WrongWeights, strip_common_prefix

StateDict = Mapping[str, np.ndarray]
ALEXNET_FEATURES = {"conv1": 0, "conv2": 3, "conv3": 6, "conv4": 8, "conv5": 10}
HRNET_HEAD = "last_layer.3.weight"


def import_vgg(state_dict: StateDict, *, depth: int) -> dict[str, Any]:
    """torchvision's `features.N` names, alone or in a whole classification network."""
    numbers = _vgg_features(depth)
    reader = Reader(state_dict)
    variables = reader.read_like(_shapes(VGG(depth=depth), side=16), lambda path: f"features.{numbers[path[0]]}")
    reader.finish(ignore=r"^classifier\.", what=f"VGG-{depth}")
    return variables


def import_alexnet(state_dict: StateDict) -> dict[str, Any]:
    """torchvision's `features.N` names, alone or in a whole classification network."""
    reader = Reader(state_dict)
    variables = reader.read_like(_shapes(AlexNet(), side=31), lambda path: f"features.{ALEXNET_FEATURES[path[0]]}")
    reader.finish(ignore=r"^classifier\.", what="AlexNet")
    return variables


def import_hrnet(state_dict: StateDict, *, width: int, num_classes: int | None = None) -> dict[str, Any]:
    """Official names, bare or below one of the prefixes `model.` (official file) and `seg.` (UltraIS).

    The official file also carries its training loss's class weights (`loss.*`), which are dropped.
    """
    state = {name: value for name, value in state_dict.items() if not name.startswith("loss.")}
    for prefix in ("model.", "seg."):
        state = strip_common_prefix(state, prefix)
    reader = Reader(state)
    classes = num_classes or _hrnet_classes(state, width)
    variables = reader.read_like(_shapes(HRNet(width=width, num_classes=classes), side=32), torch_path)
    reader.finish(what=f"HRNetV2-W{width} with {classes} classes")
    return variables


def torch_path(path: tuple[str, ...]) -> str:
    """("stage3_0", "fuse_layers_2_0_1") -> "stage3.0.fuse_layers.2.0.1": numbers are list indices in torch."""
    return ".".join(re.sub(r"_(?=\d)", ".", part) for part in path)


def _hrnet_classes(state: StateDict, width: int) -> int:
    if HRNET_HEAD not in state:
        raise WrongWeights(
            f"these weights do not belong to HRNetV2-W{width}: {HRNET_HEAD} is missing "
            "(a whole segmentation network is needed; ImageNet files have no segmentation head)"
        )
    return state[HRNET_HEAD].shape[0]


def _vgg_features(depth: int) -> dict[str, int]:
    """Indices in torchvision's list: a convolution and its ReLU take two places, a pool one."""
    return {name: 2 * i + int(name[len("conv")]) - 1 for i, name in enumerate(layer_names(depth))}


@functools.cache  # tracing HRNet takes seconds
def _shapes(model: nn.Module, *, side: int) -> dict[str, Any]:
    return jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, side, side, 3)))
