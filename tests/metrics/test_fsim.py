"""FSIM's axioms, sizes and batches; phase congruency of simple images. Its values are in test_reference_values."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.metrics import compute
from ultrabm_jax.metrics.fsim import _downsample
from ultrabm_jax.metrics.phase_congruency import _filters, median, phase_congruency

RNG = np.random.default_rng(0)
A = RNG.integers(0, 256, (2, 40, 44, 3), dtype=np.uint8)
B = np.clip(A + RNG.normal(0, 25, A.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", ["fsim", "fsimc"])
def test_axioms(name):
    value = np.asarray(compute(name, B, A))
    assert ((value > 0) & (value < 1)).all()
    np.testing.assert_allclose(compute(name, A, B), value, atol=1e-6)
    np.testing.assert_allclose(compute(name, A, A), 1, atol=1e-6)
    np.testing.assert_allclose(compute(name, B[1:], A[1:]), value[1:], atol=1e-6)


def test_colour_counts_in_fsimc_only():
    """Two colours of one luma."""
    gray = np.full((1, 40, 44, 3), 128.0)
    gray[:, 10:30, 10:30] = 60.0
    tinted = gray + np.array([-40 * 0.587 / 0.299, 40.0, 0.0])
    images = [np.asarray(x, np.float32) / 255 for x in (tinted.clip(0, 255), gray)]
    assert compute("fsim", *images)[0] == pytest.approx(1, abs=1e-3)
    assert compute("fsimc", *images)[0] < 0.99


@pytest.mark.parametrize("level", [0, 255])
def test_flat_images_give_finite_values(level):
    flat = np.full((1, 40, 44, 3), level, np.uint8)
    for name in ("fsim", "fsimc"):
        np.testing.assert_allclose(compute(name, flat, flat), 1, atol=1e-6)
        assert np.isfinite(np.asarray(compute(name, flat, A[:1]))).all()


def test_an_edge_is_congruent_at_every_contrast():
    """The response follows the phase, not the height of the step."""
    step = np.zeros((2, 64, 64), np.float32)
    step[0, :, 32:], step[1, :, 32:] = 200.0, 40.0
    found = np.asarray(phase_congruency(jnp.asarray(step)))
    assert found[:, 20:44, 31:33].min() > 0.75
    np.testing.assert_allclose(found[0, 20:44, 31:33], found[1, 20:44, 31:33], atol=0.02)
    assert found[:, 20:44, 22:31].max() < 0.5


@pytest.mark.parametrize("count", [1, 2, 9, 10, 1000])
def test_median_is_exact(count):
    x = np.float32(RNG.gamma(0.1, 50, (6, count)))
    x[1], x[2] = 0, 7
    x[3] = np.round(x[3])  # ties
    x[4, ::2] = 1e-42  # smaller than a normal float32
    np.testing.assert_array_equal(median(jnp.asarray(x)), np.median(x, axis=1))


@pytest.mark.parametrize("shape", [(32, 40), (33, 41)])
def test_filters_are_one_sided_and_do_not_pass_the_mean(shape):
    filters = _filters(*shape)
    assert filters.shape == (4, 4, *shape)
    assert (filters[..., 0, 0] == 0).all()
    forward = filters[0, 0, 0, 1 : shape[1] // 2].sum()
    backward = filters[0, 0, 0, -(shape[1] // 2) + 1 :].sum()
    assert forward > 100 * backward


def test_downsampling_averages_blocks():
    image = jnp.asarray(RNG.uniform(0, 255, (1, 769, 901, 3)), jnp.float32)
    small = _downsample(image)
    assert small.shape == (1, 256, 300, 3)
    np.testing.assert_allclose(small[0, 5, 7], np.mean(np.asarray(image)[0, 15:18, 21:24], axis=(0, 1)), rtol=1e-5)


def test_too_small():
    image = np.zeros((1, 7, 40, 3), np.uint8)
    with pytest.raises(UserError, match="FSIM needs at least 8 pixels a side, got 7x40"):
        compute("fsim", image, image)
