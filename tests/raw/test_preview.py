import numpy as np
import pytest

from ultrabm_jax.raw.cfa import CANONICAL
from ultrabm_jax.raw.rendering import mosaic_preview


@pytest.mark.parametrize("kind", ["bayer", "xtrans"])
def test_flat_colour_becomes_flat_gray(kind):
    pattern = CANONICAL[kind]
    colour = np.array([0.1, 0.4, 0.2], np.float32)
    mosaic = np.tile(colour[pattern], (25, 21))[:49, :37]
    out = mosaic_preview(mosaic, cfa=kind)
    assert out.shape == (49, 37, 3)
    np.testing.assert_allclose(out, 0.4 ** (1 / 2.2), atol=1e-4)  # gray world: all as green


def test_an_edge_keeps_its_position():
    mosaic = np.zeros((40, 60), np.float32)
    mosaic[:, 30:] = 0.5
    out = mosaic_preview(mosaic, cfa="bayer")
    assert out[:, :28].max() < 0.01
    assert out[:, 32:].min() > 0.6


def test_black_and_saturated():
    assert mosaic_preview(np.zeros((8, 8), np.float32), cfa="bayer").max() == 0
    np.testing.assert_allclose(mosaic_preview(np.full((8, 8), 300, np.float32), cfa="bayer"), 1, atol=1e-6)
