"""The best gamma-corrected reference against the slow way, pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.metrics import compute
from ultrabm_jax.metrics.gamma_corrected import RED_GAMMAS, best_gamma

RNG = np.random.default_rng(0)
REFERENCE = RNG.integers(0, 256, (2, 24, 20, 3), dtype=np.uint8)
RESTORED = np.clip(255 * (REFERENCE / 255) ** 0.85 + RNG.normal(0, 9, REFERENCE.shape), 0, 255).astype(np.uint8)


def test_grid_of_red():
    assert len(RED_GAMMAS) == 21
    assert (RED_GAMMAS[0], RED_GAMMAS[1], RED_GAMMAS[10], RED_GAMMAS[-1]) == (0.7, 0.73, 1.0, 1.3)


@pytest.mark.parametrize("rounded", [False, True])
def test_psnr_is_the_best_of_the_grid(rounded):
    for i in range(2):
        values = []
        for g in RED_GAMMAS:
            corrected = 255 * (REFERENCE[i] / 255) ** g
            corrected = np.rint(corrected) if rounded else corrected
            values.append(10 * np.log10(255**2 / np.mean((RESTORED[i] - corrected) ** 2)))
        best = compute("psnr_gtgc", RESTORED, REFERENCE, rounded=rounded)
        assert best[i] == pytest.approx(max(values), abs=1e-9)
        assert best_gamma(RESTORED, REFERENCE, rounded=rounded)[i] == RED_GAMMAS[int(np.argmax(values))]


def test_ssim_is_that_of_the_corrected_reference():
    found = best_gamma(RESTORED, REFERENCE, rounded=True)
    corrected = [np.rint(255 * (reference / 255) ** g) for reference, g in zip(REFERENCE, found, strict=True)]
    expected = compute("ssim_rgb", RESTORED, np.array(corrected, np.uint8))
    np.testing.assert_allclose(compute("ssim_gtgc", RESTORED, REFERENCE, rounded=True), expected, atol=1e-6)
    np.testing.assert_allclose(compute("ssim_gtgc", RESTORED, REFERENCE), expected, atol=1e-3)


@pytest.mark.parametrize("level", [0, 127, 255])
def test_identical_and_flat_images(level):
    flat = np.full((1, 16, 16, 3), level, np.uint8)
    assert np.isposinf(compute("psnr_gtgc", flat, flat)).all()
    assert compute("ssim_gtgc", flat, flat) == pytest.approx(1)
    assert np.isposinf(compute("psnr_gtgc", REFERENCE, REFERENCE)).all()


def test_with_gamma_one_only_it_equals_psnr_rgb():
    exact = compute("psnr_rgb", RESTORED, REFERENCE)
    np.testing.assert_allclose(compute("psnr_gtgc", RESTORED, REFERENCE, gammas=(1.0,)), exact, atol=1e-5)
    assert (compute("psnr_gtgc", RESTORED, REFERENCE) >= exact - 1e-5).all()


@pytest.mark.parametrize("gammas", [(), (0.7, -1.0), 1.0])
def test_invalid_grids_are_refused(gammas):
    with pytest.raises(UserError, match="list of positive numbers"):
        compute("psnr_gtgc", RESTORED, REFERENCE, gammas=gammas)
