"""Winograd's form of a 3x3 convolution against XLA's: values, gradients, and the platform that uses it."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrabm_jax.layers import winograd_conv
from ultrabm_jax.layers.dense_conv import xla_convolve
from ultrabm_jax.layers.winograd_conv import Conv3x3, convolve_3x3


def inputs(size, channels=5, features=7):
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(2, *size, channels)), rng.normal(size=(3, 3, channels, features))
    return x.astype(np.float32), kernel.astype(np.float32)


@pytest.mark.parametrize("size", [(8, 6), (7, 5), (1, 4), (3, 1)])
def test_value_and_gradients_equal_xlas(monkeypatch, size):
    monkeypatch.setattr(winograd_conv, "MIN_CHANNELS", 1)
    monkeypatch.setattr(winograd_conv, "MIN_PIXELS", 1)
    x, kernel = inputs(size)
    weights = np.random.default_rng(1).normal(size=(2, *size, 7)).astype(np.float32)

    def both(function):
        return jax.value_and_grad(lambda x, k: jnp.sum(weights * function(x, k)), argnums=(0, 1))(x, kernel)

    ours, theirs = jax.jit(lambda: (both(convolve_3x3), both(xla_convolve)))()
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5, rtol=1e-5), ours, theirs)


def test_errors_are_no_larger_than_xlas():
    x, kernel = inputs((18, 16), channels=192, features=192)
    exact = np.asarray(sum_of_taps(x.astype(np.float64), kernel.astype(np.float64)))
    ours, theirs = (np.abs(np.asarray(jax.jit(f)(x, kernel)) - exact).max() for f in (convolve_3x3, xla_convolve))
    assert 0 < ours < theirs


def sum_of_taps(x, kernel):
    height, width = x.shape[1:3]
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return sum(padded[:, i : i + height, j : j + width] @ kernel[i, j] for i in range(3) for j in range(3))


@pytest.mark.parametrize(("size", "channels"), [((16, 16), 192), ((16, 16), 191), ((15, 17), 192)])
def test_many_channels_and_pixels_take_winograds_form_on_a_cpu_only(size, channels):
    traced = jax.jit(convolve_3x3).trace(*inputs(size, channels, channels))
    winograds = size == (16, 16) and channels == 192
    assert ("convolution" not in traced.lower(lowering_platforms=("cpu",)).as_text()) == winograds
    assert "convolution" in traced.lower(lowering_platforms=("tpu",)).as_text()


def test_module_is_flaxs_convolution():
    x, _ = inputs((6, 6), channels=3)
    theirs = nn.Conv(4, (3, 3), padding=1)
    variables = theirs.init(jax.random.key(0), x)
    expected = jax.tree.map(jnp.shape, variables)
    assert jax.tree.map(jnp.shape, Conv3x3(4).init(jax.random.key(0), x)) == expected
    np.testing.assert_allclose(Conv3x3(4).apply(variables, x), theirs.apply(variables, x), atol=1e-6)
    assert Conv3x3(4, dtype=jnp.bfloat16).apply(variables, x).dtype == jnp.bfloat16
