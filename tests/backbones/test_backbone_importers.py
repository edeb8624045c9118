"""Importers of VGG, AlexNet and HRNet: complete files are imported, other networks are refused."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from ultrabm_jax.backbones import importers as extractors
from ultrabm_jax.backbones.alexnet import AlexNet
from ultrabm_jax.backbones.vgg import VGG
from ultrabm_jax.errors import UserError
from ultrabm_jax.weights import IMPORTERS, from_torch


def torchvision_like(model, features: dict[str, int], side: int) -> dict[str, np.ndarray]:
    """A random state dict with torchvision's names and the module's shapes."""
    shapes = jax.eval_shape(model.init, jax.random.key(0), np.zeros((1, side, side, 3), np.float32))["params"]
    rng = np.random.default_rng(0)
    state = {}
    for layer, leaves in shapes.items():
        height, width, inputs, outputs = leaves["kernel"].shape
        state[f"features.{features[layer]}.weight"] = rng.normal(size=(outputs, inputs, height, width)).astype("f4")
        state[f"features.{features[layer]}.bias"] = rng.normal(size=outputs).astype("f4")
    return state


def vgg16_state() -> dict[str, np.ndarray]:
    places = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]  # torchvision's vgg16
    names = [f"conv{n}_{i}" for n, count in enumerate((2, 2, 3, 3, 3), 1) for i in range(1, count + 1)]
    return torchvision_like(VGG(depth=16), dict(zip(names, places, strict=True)), 16)


def test_vgg16_with_and_without_classifier():
    state = vgg16_state()
    for extra in (
        {},
        {"classifier.0.weight": np.zeros((4, 4), np.float32), "classifier.0.bias": np.zeros(4, np.float32)},
    ):
        params = from_torch("vgg16", state | extra)["params"]
        np.testing.assert_array_equal(params["conv3_2"]["kernel"][0, 1, 2], state["features.12.weight"][:, 2, 0, 1])
        np.testing.assert_array_equal(params["conv5_3"]["bias"], state["features.28.bias"])


def test_alexnet():
    state = torchvision_like(AlexNet(), {"conv1": 0, "conv2": 3, "conv3": 6, "conv4": 8, "conv5": 10}, 31)
    params = from_torch("alexnet", state)["params"]
    np.testing.assert_array_equal(params["conv2"]["kernel"][4, 0, 7], state["features.3.weight"][:, 7, 4, 0])


def test_weights_of_another_depth_are_refused():
    state = vgg16_state()
    with pytest.raises(UserError, match=r"VGG-19: .*missing, first features\.16\..*unexpected, first features\.17"):
        from_torch("vgg19", state)


def test_hrnet_without_head_or_with_another_width_is_refused():
    with pytest.raises(UserError, match=r"last_layer\.3\.weight is missing.*ImageNet"):
        from_torch("hrnet_w18", {"conv1.weight": np.zeros((64, 3, 3, 3), np.float32)})
    head = {"model.last_layer.3.weight": np.zeros((19, 720, 1, 1), np.float32), "loss.weight": np.zeros(19)}
    with pytest.raises(
        UserError, match=r"HRNetV2-W18 with 19 classes: .*missing.*\(19, 720, 1, 1\) instead of \(19, 270"
    ):
        from_torch("hrnet_w18", head)


def test_torch_paths():
    assert extractors.torch_path(("conv1",)) == "conv1"
    assert extractors.torch_path(("layer1_0", "downsample_1")) == "layer1.0.downsample.1"
    assert extractors.torch_path(("stage3_2", "fuse_layers_2_0_1_0")) == "stage3.2.fuse_layers.2.0.1.0"
    assert extractors.torch_path(("last_layer_3",)) == "last_layer.3"


def test_unknown_importer_lists_known_ones():
    with pytest.raises(UserError, match="vgg19"):
        from_torch("resnet50", {})
    assert "ultrabm" in IMPORTERS
