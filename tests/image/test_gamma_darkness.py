from __future__ import annotations

import numpy as np
import pytest

from ultrabm_jax.image.gamma_darkness import ALPHA, BETA, GAMMA, PEAK, SIGMA, darken_by_gamma


@pytest.mark.parametrize(("value", "seed"), [(255, 0), (200, 1), (230, 4)])
def test_mean_and_variance_follow_the_formula(value, seed):
    drawn = np.random.default_rng(seed)
    alpha, beta, gamma, sigma = (drawn.uniform(*limits) for limits in (ALPHA, BETA, GAMMA, SIGMA))
    signal = beta * (alpha * value / 255) ** gamma
    variance = signal / PEAK + sigma**2 + 1 / (12 * 255**2)
    low = darken_by_gamma(np.full((512, 512, 3), value, np.uint8), np.random.default_rng(seed)) / 255
    assert signal - 4 * variance**0.5 > 0  # the formulas below hold without clipping only
    assert abs(low.mean() - signal) < 5 * (variance / low.size) ** 0.5
    assert abs(low.var() / variance - 1) < 5 * (2 / low.size) ** 0.5 + 0.02


def test_is_pure_and_darkens_and_keeps_the_shape():
    image = np.random.default_rng(0).integers(0, 256, (33, 47, 3), dtype=np.uint8)
    kept = image.copy()
    first = darken_by_gamma(image, np.random.default_rng(5))
    assert (first.shape, first.dtype) == (image.shape, np.uint8)
    np.testing.assert_array_equal(first, darken_by_gamma(image, np.random.default_rng(5)))
    np.testing.assert_array_equal(image, kept)
    assert (first != darken_by_gamma(image, np.random.default_rng(6))).any()
    assert first.mean() < image.mean()


def test_black_stays_black_up_to_read_noise():
    low = darken_by_gamma(np.zeros((64, 64, 3), np.uint8), np.random.default_rng(1))
    assert low.max() <= 255 * SIGMA[1] * 6
