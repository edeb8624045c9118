"""VGG: parity with torchvision's features, names, sizes."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrabm_jax.backbones.vgg import VGG, imagenet_normalise, layer_names
from ultrabm_jax.errors import UserError
from ultrabm_jax.weights import from_torch


def test_vgg19_features(parity, rule_weights):
    full, early = parity("open/vgg19.npz"), parity("open/vgg19_early.npz")
    variables = from_torch("vgg19", rule_weights("vgg19_features"))
    x = imagenet_normalise(jnp.asarray(full["x"]))
    full.check("x_normalised", x)
    features = jax.jit(VGG(depth=19).apply)(variables, x)
    for name in ("conv3_4", "conv4_4", "conv5_4"):
        full.check(name, features[name])
    for name in ("conv1_2", "conv2_2"):
        early.check(name, features[name])
        full.check(f"{name}_top8rows", features[name][:, :8, :48])


@pytest.mark.parametrize(("depth", "convolutions", "parameters"), [(16, 13, 14_714_688), (19, 16, 20_024_384)])
def test_names_and_parameter_counts(depth, convolutions, parameters):
    shapes = jax.eval_shape(VGG(depth=depth).init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
    assert tuple(shapes["params"]) == layer_names(depth)
    assert len(shapes["params"]) == convolutions
    assert sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(shapes)) == parameters


def test_pools_drop_an_odd_last_row_and_upto_stops():
    x = jnp.zeros((2, 37, 51, 3))
    features = jax.eval_shape(lambda: VGG(depth=16).init_with_output(jax.random.key(0), x, upto="conv4_2")[0])
    assert tuple(features) == layer_names(16)[:9]
    sizes = {name: leaf.shape[1:3] for name, leaf in features.items()}
    assert sizes["conv1_2"] == (37, 51)
    assert sizes["conv2_1"] == (18, 25)
    assert sizes["conv3_3"] == (9, 12)
    assert sizes["conv4_2"] == (4, 6)


def test_outputs_are_before_the_relu():
    features, _ = VGG(depth=16).init_with_output(jax.random.key(0), jnp.ones((1, 8, 8, 3)), upto="conv1_2")
    assert float(features["conv1_2"].min()) < 0


def test_bfloat16_compute_keeps_float32_parameters():
    model = VGG(depth=16, dtype=jnp.bfloat16)
    features, variables = model.init_with_output(jax.random.key(0), jnp.ones((1, 8, 8, 3)), upto="conv1_2")
    assert features["conv1_2"].dtype == jnp.bfloat16
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(variables))


@pytest.mark.parametrize(
    ("depth", "side", "upto", "message"),
    [(17, 32, None, "not 17"), (16, 32, "conv3_4", "no layer 'conv3_4'"), (16, 15, None, "at least 16x16")],
)
def test_invalid_arguments(depth, side, upto, message):
    with pytest.raises(UserError, match=message):
        VGG(depth=depth).init(jax.random.key(0), jnp.zeros((1, side, side, 3)), upto=upto)
