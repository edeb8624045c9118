"""Histogram equalisation: OpenCV's rule, and equality in NumPy and JAX."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from ultrabm_jax.image.equalisation import equalise, equalising_table, equalising_tables, levels_of, look_up


def slow_equalise(channel):
    """The rule of OpenCV's equalizeHist, pixel by pixel."""
    levels = sorted(set(channel.ravel().tolist()))
    if len(levels) == 1:
        return channel
    darkest = (channel == levels[0]).sum()
    rank = {level: (channel <= level).sum() - darkest for level in levels}
    return np.vectorize(lambda v: round(rank[v] * 255 / (channel.size - darkest)))(channel)


def test_equalisation_equals_a_slow_implementation():
    rng = np.random.default_rng(1)
    image = np.stack([rng.integers(0, 40, (17, 13)), rng.poisson(9, (17, 13)), np.full((17, 13), 5)], axis=2)
    image = image.astype(np.uint8)
    made = equalise(image)
    for c in range(3):
        np.testing.assert_array_equal(made[..., c], slow_equalise(image[..., c]))
    assert (made[..., 0].min(), made[..., 0].max()) == (0, 255)


@pytest.mark.parametrize("top", [1, 2, 30, 256])
def test_equalisation_on_the_device_equals_the_data_pipelines(top):
    images = np.random.default_rng(top).integers(0, top, (2, 33, 47, 3)).astype(np.uint8)
    images[1] = images[1] // 2
    levels = levels_of(jnp.array(images, jnp.float32) / 255, xp=jnp)
    ours = np.rint(255 * np.asarray(look_up(levels, equalising_tables(levels)))).astype(np.uint8)
    np.testing.assert_array_equal(ours, np.stack([equalise(image) for image in images]))


def test_table_equals_opencvs_equalize_hist():
    levels = np.array([[52, 55, 61], [55, 52, 200]], np.uint8)
    # Of the 4 pixels that are not the darkest value: 2, 3 and 4 of them are at most 55, 61 and 200.
    table = equalising_table(np.bincount(levels.ravel(), minlength=256))
    np.testing.assert_allclose(table[[52, 55, 61, 200]], [0, 128, 191, 255], atol=1e-3)
