"""SSIM and MS-SSIM against slow float64 NumPy, and as losses."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import correlate
from scipy.signal import convolve2d

from ultrabm_jax.metrics.ssim import SCALE_WEIGHTS, _blur, ms_ssim, ssim


def slow_maps(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Mean SSIM and mean contrast-structure of one channel, 0..255, in float64."""
    axis = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(axis, axis) / axis.sum() ** 2
    blur = functools.partial(convolve2d, in2=window, mode="valid")
    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b, cov = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2, blur(a * b) - mean_a * mean_b
    contrast = (2 * cov + 58.5225) / (var_a + var_b + 58.5225)
    luminance = (2 * mean_a * mean_b + 6.5025) / (mean_a**2 + mean_b**2 + 6.5025)
    return float(np.mean(contrast * luminance)), float(np.mean(contrast))


def slow_ms_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """msssim.m, method 'product'. imfilter centres an even window on its upper left element."""
    product = 1.0
    for scale, weight in enumerate(SCALE_WEIGHTS):
        similarity, contrast = slow_maps(a, b)
        product *= (similarity if scale == 4 else contrast) ** weight
        a, b = (correlate(x, np.full((2, 2), 0.25), mode="reflect", origin=(-1, -1))[::2, ::2] for x in (a, b))
    return product


def images(*shape: int, level: float = 128, spread: float = 40, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two smooth, related 8-bit images."""
    rng = np.random.default_rng(seed)
    rough = rng.normal(size=shape)
    smooth = np.cumsum(np.cumsum(rough, 1), 2)
    a = level + spread * smooth / smooth.std()
    return tuple(np.clip(np.round(x), 0, 255) for x in (a, a + rng.normal(size=shape) * 6))


@pytest.mark.parametrize(("level", "spread"), [(128, 40), (4, 2), (250, 3)])
def test_ssim_at_dark_and_bright_levels(level, spread):
    a, b = images(2, 40, 47, 3, level=level, spread=spread)
    expected = [np.mean([slow_maps(x[..., c], y[..., c])[0] for c in range(3)]) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(ssim(jnp.float32(a), jnp.float32(b), peak=255.0), expected, rtol=0, atol=2e-6)


def test_flat_images():
    """Without centring, float32 leaves noise of 1e-4 here."""
    a, b = np.full((1, 32, 32, 1), 251.0), np.full((1, 32, 32, 1), 254.0)
    expected = (2 * 251 * 254 + 6.5025) / (251**2 + 254**2 + 6.5025)
    np.testing.assert_allclose(ssim(jnp.float32(a), jnp.float32(b), peak=255.0), expected, atol=1e-7)


def test_ssim_does_not_depend_on_the_unit():
    a, b = (jnp.float32(x) for x in images(1, 32, 32, 3))
    np.testing.assert_allclose(ssim(a / 255, b / 255), ssim(a, b, peak=255.0), atol=1e-6)


@pytest.fixture(scope="module")
def multi_scale():
    """Compiled once, with its gradient: odd sizes at several of the scales, two images of one channel."""
    value = lambda a, b: ms_ssim(a, b, peak=255.0)  # noqa: E731
    return jax.jit(lambda a, b: (value(a, b), jax.grad(lambda x: value(x, b).sum())(a)))


def test_ms_ssim_on_odd_sizes_and_as_a_loss(multi_scale):
    a, b = images(1, 165, 183, 1)
    value, slope = multi_scale(jnp.float32(a), jnp.float32(b))
    np.testing.assert_allclose(value, [slow_ms_ssim(a[0, ..., 0], b[0, ..., 0])], atol=2e-6)
    assert np.isfinite(np.asarray(slope)).all()
    assert np.asarray(slope).any()


@pytest.mark.parametrize("case", ["identical", "black", "opposite"])
def test_ms_ssim_stays_finite(multi_scale, case):
    a, _ = images(1, 165, 183, 1)
    pairs = {"identical": (a, a), "black": (0 * a, 0 * a), "opposite": (a, 255 - a)}
    value, slope = multi_scale(*(jnp.float32(x) for x in pairs[case]))
    assert np.isfinite(np.asarray(slope)).all()
    # opposite structure has no real power and counts as zero
    np.testing.assert_allclose(value, 0.0 if case == "opposite" else 1.0, atol=1e-6)


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_ssim_gradient_on_identical_and_flat_images(level):
    flat = jnp.full((1, 16, 16, 3), level)
    ragged = jnp.float32(images(1, 16, 16, 3)[0]) / 255
    slope = jax.jit(jax.grad(lambda x, y: ssim(x, y).sum()))
    for a, b in ((flat, flat), (ragged, ragged), (flat, ragged)):
        assert np.isfinite(np.asarray(slope(a, b))).all()
    np.testing.assert_allclose(slope(ragged, ragged), 0, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_gradient_of_the_blur_equals_autodiffs(channels):
    x = jnp.asarray(np.random.default_rng(0).random((2, 15, 17 * channels), np.float32))
    weights = jnp.sin(jnp.arange(2 * 5 * 7 * channels, dtype=jnp.float32)).reshape(2, 5, -1)

    def gradient(blur):
        return jax.grad(lambda x: jnp.sum(blur(x, channels) * weights))(x)

    np.testing.assert_allclose(gradient(_blur), gradient(_blur.fun), atol=1e-6)
