from __future__ import annotations

import numpy as np
import pytest

from input_pipeline.coco_darkness import ALPHA, BETA, GAMMA, PEAK, SIGMA, darken_photo


@pytest.mark.parametrize(("value", "seed"), [(255, 0), (200, 1), (230, 4)])
def test_mean_and_variance_are_those_of_the_formula(value, seed):
    drawn = np.random.default_rng(seed)
    alpha, beta, gamma, sigma = (drawn.uniform(*limits) for limits in (ALPHA, BETA, GAMMA, SIGMA))
    signal = beta * (alpha * value / 255) ** gamma
    variance = signal / PEAK + sigma**2 + 1 / (12 * 255**2)
    low = darken_photo(np.full((512, 512, 3), value, np.uint8), np.random.default_rng(seed)) / 255
    assert signal - 4 * variance**0.5 > 0  # nothing is clipped, or the figures below are others
    assert abs(low.mean() - signal) < 5 * (variance / low.size) ** 0.5
    assert abs(low.var() / variance - 1) < 5 * (2 / low.size) ** 0.5 + 0.02


def test_pure_darker_and_of_the_same_shape():
    photo = np.random.default_rng(0).integers(0, 256, (33, 47, 3), dtype=np.uint8)
    kept = photo.copy()
    first = darken_photo(photo, np.random.default_rng(5))
    assert (first.shape, first.dtype) == (photo.shape, np.uint8)
    np.testing.assert_array_equal(first, darken_photo(photo, np.random.default_rng(5)))
    np.testing.assert_array_equal(photo, kept)
    assert (first != darken_photo(photo, np.random.default_rng(6))).any()
    assert first.mean() < photo.mean()


def test_black_stays_black_up_to_read_noise():
    low = darken_photo(np.zeros((64, 64, 3), np.uint8), np.random.default_rng(1))
    assert low.max() <= 255 * SIGMA[1] * 6
