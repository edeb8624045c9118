"""Colours under fully transparent pixels do not reach a network."""

from __future__ import annotations

import numpy as np
import pytest

from ultrabm_jax.image.hidden import fill_hidden

RNG = np.random.default_rng(0)


def test_opaque_images_are_returned_unchanged():
    rgb = RNG.random((5, 7, 3), np.float32)
    assert fill_hidden(rgb, None) is rgb
    assert fill_hidden(rgb, np.full((5, 7), 0.5, np.float32)) is rgb


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (16, 16), (33, 18)])
def test_result_does_not_depend_on_what_was_hidden(size):
    rgb, alpha = RNG.random((*size, 3), np.float32), (RNG.random(size) > 0.7).astype(np.float32)
    other = np.where(alpha[..., None] > 0, rgb, RNG.random((*size, 3), np.float32))
    filled = fill_hidden(rgb, alpha)
    np.testing.assert_array_equal(filled, fill_hidden(other, alpha))
    np.testing.assert_array_equal(filled[alpha > 0], rgb[alpha > 0])
    assert filled.dtype == np.float32


def test_hidden_pixels_get_colours_from_nearby():
    alpha = np.ones((8, 8), np.float32)
    alpha[2:6, 2:6] = 0
    rgb = np.zeros((8, 8, 3), np.float32)
    rgb[alpha > 0] = (0.2, 0.4, 0.6)
    np.testing.assert_allclose(
        fill_hidden(rgb, alpha), np.broadcast_to(np.float32([0.2, 0.4, 0.6]), rgb.shape), rtol=1e-6
    )


def test_invisible_images_become_black():
    assert fill_hidden(RNG.random((4, 6, 3), np.float32), np.zeros((4, 6), np.float32)).max() == 0
