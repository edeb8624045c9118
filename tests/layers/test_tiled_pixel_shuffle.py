"""Pixel shuffles for tiled memory against the usual ones, and convolutions of cells against those of pixels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrabm_jax.layers import pixel_shuffle, tiled_pixel_shuffle
from ultrabm_jax.layers.by_platform import OTHER, by_platform, traced_for
from ultrabm_jax.layers.cell_conv import cell_kernel
from ultrabm_jax.layers.dense_conv import xla_convolve


def normal(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("factors", [(2,), (3,), (2, 4), (4, 2), (2, 1, 3)], ids=str)
def test_values_are_those_of_shuffles_in_turn(factors):
    side = int(np.prod(factors))
    image, features = normal(2, 2 * side, 3 * side, 3), normal(2, 2, 3, 3 * side**2)
    unshuffled, shuffled = image, features
    for factor in factors:
        unshuffled = pixel_shuffle.pixel_unshuffle(unshuffled, factor)
        shuffled = pixel_shuffle.pixel_shuffle(shuffled, factor)
    np.testing.assert_array_equal(tiled_pixel_shuffle.pixel_unshuffle(image, *factors), unshuffled)
    np.testing.assert_array_equal(pixel_shuffle.pixel_shuffle(features, *factors), shuffled)
    np.testing.assert_array_equal(tiled_pixel_shuffle.pixel_shuffle(features, *factors), shuffled)


def test_shuffle_to_cells_equals_both_shuffles():
    features = normal(2, 3, 2, 5 * 16)
    for cell in (1, 2, 4):
        expected = pixel_shuffle.pixel_unshuffle(pixel_shuffle.pixel_shuffle(features, 4), cell)
        np.testing.assert_array_equal(pixel_shuffle.shuffle_to_cells(features, 4, cell), expected)


@pytest.mark.parametrize(("size", "cell"), [(1, 2), (3, 2), (5, 2), (5, 4), (7, 4)])
def test_convolution_of_cells_equals_that_of_pixels(size, cell):
    x, kernel = normal(2, 3 * cell, 2 * cell, 3), normal(size, size, 3, 2)
    pixels = pixel_shuffle.pixel_unshuffle(xla_convolve(x, kernel), cell)
    cells = xla_convolve(pixel_shuffle.pixel_unshuffle(x, cell), cell_kernel(jnp.asarray(kernel), cell))
    np.testing.assert_allclose(cells, pixels, atol=2e-5)


def test_programs_have_the_form_of_their_platform():
    program = jax.jit(lambda x: by_platform(x, tpu=jnp.sin, cpu=None, default=jnp.cos)).trace(1.0)
    for platform, function, other in (("tpu", "sine", "cosine"), ("cpu", "cosine", "sine"), ("cuda", "cosine", "sine")):
        text = program.lower(lowering_platforms=(platform,)).as_text()
        assert f"stablehlo.{function} " in text
        assert f"stablehlo.{other} " not in text


def test_a_trace_for_one_platform_has_no_other_form():
    for platform, name in (("tpu", "sin"), ("gpu", "cos"), ("cpu", "cos"), (OTHER, "cos")):
        with traced_for(platform):
            jaxpr = jax.make_jaxpr(lambda x: by_platform(x, tpu=jnp.sin, default=jnp.cos))(1.0)
        assert [equation.primitive.name for equation in jaxpr.eqns] == [name]
