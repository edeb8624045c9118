"""NIQE: MATLAB's half-size, the fit of shapes, blocks, and images without contrast. Its values are elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import gamma

from ultrabm_jax.errors import UserError
from ultrabm_jax.metrics import compute
from ultrabm_jax.metrics.host import luma_16_235
from ultrabm_jax.metrics.matlab_resize import halve
from ultrabm_jax.metrics.niqe import features
from ultrabm_jax.metrics.scene_statistics import fit_asymmetric, gaussian_window
from ultrabm_jax.storage.assets import MissingAsset

RNG = np.random.default_rng(0)


@pytest.fixture
def assets(shared):
    return shared / "assets"


def slow_half(x: np.ndarray) -> np.ndarray:
    """One axis of imresize(x, 0.5), sample by sample from its definition."""

    def cubic(t: float) -> float:
        t = abs(t)
        return 1.5 * t**3 - 2.5 * t**2 + 1 if t <= 1 else -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2 if t <= 2 else 0.0

    n, out = len(x), []
    for k in range((n + 1) // 2):
        place = 2 * (k + 0.5) - 0.5
        taps = range(int(np.floor(place)) - 4, int(np.floor(place)) + 6)
        weights = [cubic((t - place) / 2) for t in taps]
        mirrored = [-1 - t if t < 0 else 2 * n - 1 - t if t >= n else t for t in taps]
        out.append(sum(w * x[t] for w, t in zip(weights, mirrored, strict=True)) / sum(weights))
    return np.array(out)


@pytest.mark.parametrize("shape", [(12, 16), (13, 9)])
def test_half_size(shape):
    image = RNG.uniform(0, 255, shape)
    expected = np.apply_along_axis(slow_half, 1, np.apply_along_axis(slow_half, 0, image))
    np.testing.assert_allclose(halve(image), expected, atol=1e-10)
    whole = halve(np.round(image), as_uint8=True)
    np.testing.assert_array_equal(whole, np.round(whole))
    assert np.abs(whole - halve(np.round(image))).max() <= 1.5


def test_window_is_normal_and_symmetric():
    window = gaussian_window()
    assert window.sum() == pytest.approx(1)
    np.testing.assert_array_equal(window, window.T)
    assert window[3, 3] / window[3, 2] == pytest.approx(np.exp(0.5 / (7 / 6) ** 2))


@pytest.mark.parametrize(("shape", "left", "right"), [(0.6, 1.0, 1.0), (1.0, 2.0, 0.5), (2.0, 0.7, 1.4)])
def test_fit_recovers_known_parameters(shape, left, right):
    """Magnitudes of a generalised Gaussian are powers of gamma variates."""
    size = RNG.gamma(1 / shape, size=400_000) ** (1 / shape)
    side = RNG.uniform(size=size.size) < left / (left + right)
    width = np.sqrt(gamma(1 / shape) / gamma(3 / shape))
    fit = fit_asymmetric(np.where(side, -left, right) * width * size)
    assert fit.shape == pytest.approx(shape, rel=0.03)
    assert fit.left == pytest.approx(left, rel=0.02)
    assert fit.right == pytest.approx(right, rel=0.02)


def test_luma_is_rounded_and_in_range():
    corners = np.array([[[[0, 0, 0], [255, 255, 255], [255, 0, 0]]]], np.uint8)
    np.testing.assert_array_equal(luma_16_235(corners), [[[16, 235, 81]]])


def test_blocks_are_independent_and_the_remainder_is_ignored():
    image = RNG.normal(128, 30, (100, 200))
    whole = features(image)
    assert whole.shape == (2, 36)
    np.testing.assert_array_equal(whole, features(image[:96, :192]))


def test_floats_are_rounded_to_8_bits(assets):
    image = RNG.integers(0, 256, (1, 192, 193, 3), dtype=np.uint8)
    value = compute("niqe_gray", image, assets=assets)
    assert value.dtype == np.float64
    near = (image / 255 + 0.3 / 255).clip(0, 1).astype(np.float32)
    np.testing.assert_array_equal(compute("niqe_gray", near, assets=assets), value)


@pytest.mark.parametrize("level", [0, 255])
def test_image_without_contrast_gives_nan(assets, level):
    assert np.isnan(compute("niqe_gray", np.full((1, 96, 97, 3), level, np.uint8), assets=assets)).all()


def test_too_small(assets):
    with pytest.raises(UserError, match="NIQE needs at least 96 pixels a side, got 95x200"):
        compute("niqe_y", np.zeros((1, 95, 200, 3), np.uint8), assets=assets)


def test_missing_pristine_model_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("ULTRABM_ASSETS", raising=False)
    with pytest.raises(MissingAsset, match=r"niqe_pris_params\.npz"):
        compute("niqe_gray", np.zeros((1, 96, 96, 3), np.uint8))
