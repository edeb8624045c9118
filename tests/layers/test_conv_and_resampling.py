"""Shared layers against slow definitions and invariants."""

import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrabm_jax.layers.conv import Conv
from ultrabm_jax.layers.pixel_shuffle import pixel_shuffle, pixel_unshuffle
from ultrabm_jax.layers.pooling import max_pool
from ultrabm_jax.layers.resampling import bicubic, bilinear

KEY = jax.random.key(0)


def normal(*shape, seed=0):
    return jax.random.normal(jax.random.key(seed), shape)


@pytest.mark.parametrize(
    ("groups", "features", "kernel", "stride"), [(1, 6, 3, 1), (1, 6, 1, 2), (2, 6, 3, 1), (4, 4, 3, 1), (4, 4, 5, 1)]
)
def test_convolution_equals_xla_grouped_convolution(random_variables, groups, features, kernel, stride):
    module = Conv(features, kernel=kernel, stride=stride, groups=groups, use_bias=True)
    x = normal(2, 9, 7, 4)
    params = random_variables(module, x)["params"]
    expected = jax.lax.conv_general_dilated(
        x,
        params["kernel"],
        (stride, stride),
        [(kernel // 2,) * 2] * 2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )
    np.testing.assert_allclose(module.apply({"params": params}, x), expected + params["bias"], atol=1e-6)


def test_initialisation_is_pytorchs_default():
    params = Conv(64, use_bias=True).init(KEY, normal(1, 4, 4, 16))["params"]
    bound = 1 / np.sqrt(9 * 16)
    for leaf in jax.tree.leaves(params):
        assert float(jnp.abs(leaf).max()) <= bound
    assert float(params["kernel"].std()) == pytest.approx(bound / np.sqrt(3), rel=0.02)


def test_pixel_shuffle_order_is_pytorchs():
    b, h, w, c, s = 1, 2, 3, 2, 2
    x = np.arange(b * h * w * c * s * s, dtype=np.float32).reshape(b, h, w, c * s * s)
    y = np.asarray(pixel_shuffle(jnp.asarray(x), s))
    for i, j, ch in np.ndindex(s * h, s * w, c):
        assert y[0, i, j, ch] == x[0, i // s, j // s, ch * s * s + (i % s) * s + j % s]


@pytest.mark.parametrize("upsample", [bilinear, bicubic])
def test_upsampling_keeps_constants_and_the_mean_of_ramps(upsample):
    np.testing.assert_allclose(upsample(jnp.full((1, 3, 4, 2), 0.7), 2), 0.7, rtol=1e-6)
    ramp = jnp.broadcast_to(jnp.arange(8.0)[:, None, None], (1, 8, 4, 1))
    inner = np.asarray(upsample(ramp, 2))[0, 4:12, 0, 0]
    # Keys' kernel with a = -0.75 bends a ramp within a pixel, but not from pixel to pixel.
    np.testing.assert_allclose(inner[2:] - inner[:-2], 1, atol=1e-5)


def test_upsampling_works_from_one_pixel():
    assert bicubic(jnp.ones((1, 1, 1, 3)), 2).shape == (1, 2, 2, 3)
    assert bilinear(jnp.ones((1, 1, 1, 3)), 4).shape == (1, 4, 4, 3)


GRADIENT_ON_EIGHT = """
import jax, jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from ultrabm_jax.layers.resampling import bicubic, bilinear
mesh = Mesh(jax.devices(), ("data",))
x = jax.ShapeDtypeStruct((8, 4, 4, 2), jnp.float32, sharding=NamedSharding(mesh, PartitionSpec("data")))
gradient = jax.grad(lambda x: jnp.sum(jnp.sin(bilinear(x, 2))) + jnp.sum(jnp.sin(bicubic(x, 2))))
print(jax.jit(gradient).lower(x).compile().as_text())
"""


def test_gradient_of_upsampling_needs_no_communication_under_data_parallelism(python):
    done = python("-c", GRADIENT_ON_EIGHT, devices=8)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "f32[1,4,4,2]" in done.stdout
    assert not re.search("(collective|all)-[a-z]", done.stdout)


def test_max_pool():
    x = normal(2, 4, 6, 3)
    np.testing.assert_array_equal(max_pool(x), nn.max_pool(x, (2, 2), (2, 2)))


def test_pixel_unshuffle_is_pytorchs_and_the_inverse_of_pixel_shuffle():
    x = normal(2, 6, 9, 2)
    y = np.asarray(pixel_unshuffle(x, 3))
    for i, j, c, dy, dx in np.ndindex(2, 3, 2, 3, 3):
        np.testing.assert_array_equal(y[:, i, j, c * 9 + dy * 3 + dx], x[:, 3 * i + dy, 3 * j + dx, c])
    np.testing.assert_array_equal(pixel_shuffle(y, 3), x)
