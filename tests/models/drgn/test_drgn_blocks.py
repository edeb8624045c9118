"""DRGN's blocks against NumPy references and their definitions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import correlate1d

from ultrabm_jax.layers.conv import Conv
from ultrabm_jax.models.drgn.pyramid import downsample
from ultrabm_jax.models.drgn.rcab import RCAB, ChannelAttention, PReLU, Style
from ultrabm_jax.models.drgn.transposed_conv import TransposedConv, transposed_conv

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("kernel", [3, 4])
@pytest.mark.parametrize("size", [(1, 1), (1, 3), (4, 5)])
def test_deconv_scatters_each_pixel_as_pytorchs_does(kernel, size):
    x, weights = normal(2, *size, 3), normal(kernel, kernel, 3, 2)
    h, w = size
    expected = np.zeros((2, 2 * h + 2, 2 * w + 2, 2))
    for i, j in np.ndindex(h, w):
        for p, q in np.ndindex(kernel, kernel):
            expected[:, 2 * i + p, 2 * j + q] += x[:, i, j] @ weights[p, q]  # one row and column of padding in front
    np.testing.assert_allclose(transposed_conv(x, weights), expected[:, 1 : 2 * h + 1, 1 : 2 * w + 1], atol=1e-5)


def test_deconv_is_the_adjoint_of_the_strided_convolution():
    """<conv(y), x> = <y, deconv(x)> with the same kernel, its two channel axes exchanged."""
    x, y, weights = normal(1, 3, 4, 2), normal(1, 6, 8, 5), normal(3, 3, 5, 2)
    small = Conv(2, stride=2).apply({"params": {"kernel": weights}}, y)
    large = TransposedConv(5).apply({"params": {"kernel": weights.swapaxes(2, 3)}}, x)
    np.testing.assert_allclose((small * x).sum(), (y * large).sum(), rtol=1e-5)


def test_prelu_has_one_slope_per_channel():
    x = np.array([[[[-2.0, -2.0, 3.0]]]], np.float32)
    layer = PReLU(0.25)
    variables = layer.init(jax.random.key(0), x)
    np.testing.assert_array_equal(variables["params"]["slope"], [0.25] * 3)
    out = layer.apply({"params": {"slope": jnp.array([0.5, 0.0, 0.7])}}, x)
    np.testing.assert_array_equal(out, [[[[-1, 0, 3]]]])


def test_rcab_equals_its_formula(random_variables):
    x, layer, conv = normal(2, 4, 5, 8), RCAB(reduction=4), jax.jit(Conv(8).apply)
    params = random_variables(layer, x)["params"]
    y = np.asarray(conv({"params": params["conv1"]}, x))
    y = np.asarray(conv({"params": params["conv2"]}, np.where(y > 0, y, params["act"]["slope"] * y)))
    attention = params["attention"]
    z = y.mean(axis=(1, 2)) @ attention["squeeze"]["kernel"][0, 0]
    z = np.where(z > 0, z, attention["act"]["slope"] * z) @ attention["excite"]["kernel"][0, 0]
    expected = x + y / (1 + np.exp(-z[:, None, None]))
    np.testing.assert_allclose(jax.jit(layer.apply)({"params": params}, x), expected, atol=1e-5)


def test_attention_uses_recorded_statistics(random_variables):
    """Tiles reuse the statistics of their image."""
    x, layer = normal(1, 8, 8, 4), ChannelAttention(reduction=2)
    params = random_variables(layer, x)
    whole, recorded = layer.apply(params, x, mutable=["statistics"])
    np.testing.assert_array_equal(layer.apply(params | recorded, x[:, :3]), whole[:, :3])
    assert np.abs(layer.apply(params, x[:, :3]) - whole[:, :3]).max() > 1e-4


@pytest.mark.parametrize("factor", [2, 4])
def test_the_gaussian_pyramid_is_a_blur_then_every_nth_pixel(factor):
    x = RNG.random((1, 16, 20, 2))
    weights = np.exp(-(np.arange(-6, 7) ** 2) / (2 * 1.6**2))
    blurred = x
    for axis in (1, 2):
        blurred = correlate1d(blurred, weights / weights.sum(), axis=axis, mode="mirror")
    np.testing.assert_allclose(
        jax.jit(downsample, static_argnums=1)(x, factor), blurred[:, ::factor, ::factor], atol=1e-6
    )


@pytest.mark.parametrize("kind", ["gaussian", "box"])
def test_a_pyramid_keeps_a_flat_image_and_its_first_level_is_the_image(kind):
    flat = jnp.full((1, 4, 4, 3), 0.3)
    np.testing.assert_allclose(
        jax.jit(downsample, static_argnames=("factor", "kind"))(flat, factor=4, kind=kind), 0.3, atol=1e-6
    )
    assert downsample(flat, 1, kind=kind) is flat


def test_box_pyramid_is_a_mean():
    x = normal(1, 4, 8, 1)
    np.testing.assert_allclose(downsample(x, 4, kind="box")[0, 0, 1, 0], x[0, :, 4:].mean(), rtol=1e-5)


@pytest.mark.parametrize(("init", "bound"), [("xavier", (6 / (27 + 72)) ** 0.5), ("torch", 27**-0.5)])
def test_initial_kernels(init, bound):
    kernel = Style(init).conv(8).kernel_init(jax.random.key(0), (3, 3, 3, 8), jnp.float32)
    assert 0.9 * bound < np.abs(kernel).max() <= bound
