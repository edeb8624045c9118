"""Means over batches with a mask; the histogram of Y."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.metrics.batches import masked_mean, masked_total
from ultrabm_jax.metrics.histogram import y_curve, y_histogram


def test_the_short_batch_counts_by_its_images():
    values = np.arange(5.0)
    batches = [(values[:3], [True] * 3), (np.array([3.0, 4.0, 99.0]), [True, True, False])]
    totals = [jax.jit(masked_total)(jnp.asarray(v), jnp.asarray(m)) for v, m in batches]
    assert sum(float(t) for t, _ in totals) / sum(int(n) for _, n in totals) == values.mean()


@pytest.mark.parametrize("filler", [jnp.nan, jnp.inf])
def test_what_does_not_count_may_be_anything(filler):
    assert masked_mean(jnp.array([1.0, 2.0, filler]), jnp.array([True, True, False])) == 1.5
    assert jnp.isnan(masked_mean(jnp.array([filler]), jnp.array([False])))
    assert jnp.isinf(masked_mean(jnp.array([1.0, jnp.inf]), jnp.array([True, True])))


def test_histogram_of_black_and_white():
    image = np.zeros((2, 4, 6, 3), np.uint8)
    image[1] = 255
    counts = y_histogram(image)
    assert counts.shape == (2, 256)
    assert counts[0, 16] == counts[1, 235] == 24
    assert y_histogram(image, bins=4)[1].tolist() == [0, 0, 0, 24]
    np.testing.assert_allclose(y_curve(image).sum(axis=1), 1)
    with pytest.raises(UserError, match="does not divide"):
        y_histogram(image, bins=10)
