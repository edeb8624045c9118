from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrabm_jax.raw.levels import camera_levels, normalise, tile_to


def test_normalise():
    values = np.array([[500, 1500, 512], [2502, 16383, 512], [600, 0, 512]], np.uint16)
    black = np.array([[500, 501], [502, 503]], np.float32)
    expected = [
        [(max(float(values[y, x]) - black[y % 2, x % 2], 0)) / (16383 - black[y % 2, x % 2]) for x in range(3)]
        for y in range(3)
    ]
    result = normalise(values, black, 16383)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, rtol=1e-6)
    assert result.max() == 1


def test_values_above_the_white_level_are_saturated():
    assert normalise(np.array([[60000]], np.uint16), np.zeros((2, 2), np.float32), 15000) == 1


@pytest.mark.parametrize("period", [2, 6])
def test_numpy_and_jax_agree_on_batches(period):
    rng = np.random.default_rng(0)
    values = rng.integers(0, 16384, (3, 13, 20)).astype(np.uint16)
    black = rng.uniform(400, 600, (3, period, period)).astype(np.float32)
    white = np.array([16383, 15000, 4095], np.float32)
    host = normalise(values, black, white)
    device = jax.jit(functools.partial(normalise, xp=jnp))(jnp.asarray(values), jnp.asarray(black), jnp.asarray(white))
    assert isinstance(device, jax.Array)
    np.testing.assert_array_equal(host, device)
    for i in range(3):
        np.testing.assert_array_equal(host[i], normalise(values[i], black[i], float(white[i])))


def test_patterns_are_repeated():
    tile = np.arange(6).reshape(2, 3)
    tiled = tile_to(tile, (5, 7))
    assert all(tiled[y, x] == tile[y % 2, x % 3] for y in range(5) for x in range(7))
    np.testing.assert_array_equal(tile_to(jnp.asarray(tile), (5, 7), xp=jnp), tiled)


def test_camera_table():
    assert camera_levels("Sony ", "ilce-7sm2") == (512, 16383)
    assert camera_levels("FUJIFILM", "X-T2") == (1024, 16383)
    assert camera_levels("NIKON", "D800") is None
