"""Importers of PyTorch state dicts: torchvision's VGG and AlexNet, the official HRNet.

The modules' parameter names mirror PyTorch's closely enough that one renaming rule for each network is the whole map.
"""

from __future__ import annotations

import functools
import re

import flax.linen as nn
import jax
import jax.numpy as jnp

from ultrabm_jax.backbones.alexnet import AlexNet
from ultrabm_jax.backbones.hrnet import HRNet
from ultrabm_jax.backbones.vgg import VGG, layer_names
from ultrabm_jax.storage.state_dict import IncompatibleWeights, StateDictReader, Tree, strip_common_prefix
from ultrabm_jax.typing import StateDict

ALEXNET_FEATURES = {"conv1": 0, "conv2": 3, "conv3": 6, "conv4": 8, "conv5": 10}
HRNET_HEAD = "last_layer.3.weight"


def import_vgg(state_dict: StateDict, *, depth: int) -> Tree:
    """Reads torchvision's `features.N` of VGG-16 or VGG-19, with or without the classifier, into {"params"}.

    Raises:
      IncompatibleWeights: for the state dict of another network.
    """
    indices = _vgg_feature_indices(depth)
    reader = StateDictReader(state_dict)
    variables = reader.read_tree(_shapes(VGG(depth=depth), side=16), lambda path: f"features.{indices[path[0]]}")
    reader.check_complete(ignore=r"^classifier\.", network=f"VGG-{depth}")
    return variables


def import_alexnet(state_dict: StateDict) -> Tree:
    """Reads torchvision's `features.N` of AlexNet, with or without the classifier, into {"params"}.

    Raises:
      IncompatibleWeights: for the state dict of another network.
    """
    reader = StateDictReader(state_dict)
    variables = reader.read_tree(_shapes(AlexNet(), side=31), lambda path: f"features.{ALEXNET_FEATURES[path[0]]}")
    reader.check_complete(ignore=r"^classifier\.", network="AlexNet")
    return variables


def import_hrnet(state_dict: StateDict, *, width: int, num_classes: int | None = None) -> Tree:
    """Reads the official names into {"params", "batch_stats"}.

    The names may have the prefix `model.` (official file) or `seg.` (UltraIS). The class weights of the training loss
    (`loss.*`), which the official file also holds, are dropped. `num_classes` defaults to that of the state dict.

    Raises:
      IncompatibleWeights: for the state dict of another network, or one without segmentation head.
    """
    state = {name: value for name, value in state_dict.items() if not name.startswith("loss.")}
    for prefix in ("model.", "seg."):
        state = strip_common_prefix(state, prefix)
    reader = StateDictReader(state)
    classes = num_classes or _hrnet_classes(state, width)
    variables = reader.read_tree(_shapes(HRNet(width=width, num_classes=classes), side=32), torch_path)
    reader.check_complete(network=f"HRNetV2-W{width} with {classes} classes")
    return variables


def torch_path(path: tuple[str, ...]) -> str:
    """("stage3_0", "fuse_layers_2_0_1") -> "stage3.0.fuse_layers.2.0.1": numbers are list indices in PyTorch."""
    return ".".join(re.sub(r"_(?=\d)", ".", part) for part in path)


def _hrnet_classes(state: StateDict, width: int) -> int:
    if HRNET_HEAD not in state:
        raise IncompatibleWeights(
            f"these weights do not belong to HRNetV2-W{width}: {HRNET_HEAD} is missing "
            "(a whole segmentation network is needed; ImageNet files have no segmentation head)"
        )
    return state[HRNET_HEAD].shape[0]


def _vgg_feature_indices(depth: int) -> dict[str, int]:
    """Indices in torchvision's `features`: a convolution and its ReLU take two, a pool one."""
    return {name: 2 * i + int(name[len("conv")]) - 1 for i, name in enumerate(layer_names(depth))}


@functools.cache  # tracing HRNet takes seconds
def _shapes(model: nn.Module, *, side: int) -> Tree:
    shapes: Tree = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, side, side, 3)))
    return shapes
