"""The three rules of brightness alignment by hand, and images with zero mean."""

from __future__ import annotations

import numpy as np
import pytest

from ultrabm_jax.metrics import compute

RNG = np.random.default_rng(0)
REFERENCE = RNG.integers(0, 256, (2, 24, 20, 3), dtype=np.uint8)
DIM = (REFERENCE * 0.4 + RNG.uniform(0, 9, REFERENCE.shape)).astype(np.uint8)
GRAY = np.array([0.299, 0.587, 0.114])
RULES = ("psnr_gtmean_retinexformer", "psnr_gtmean_llflow", "psnr_gtmean_gray")


def slow(rule: str, restored: np.ndarray, reference: np.ndarray) -> float:
    a, b = restored.astype(float), reference.astype(float)
    weights = GRAY if rule == "psnr_gtmean_gray" else GRAY[::-1]
    found = a.mean() if rule == "psnr_gtmean_llflow" else (a @ weights).mean()
    scaled = np.clip(a * (b @ weights).mean() / found, 0, 255)
    finish = {"psnr_gtmean_llflow": np.floor, "psnr_gtmean_gray": np.rint}.get(rule, np.asarray)
    return float(10 * np.log10(255**2 / np.mean((finish(scaled) - b) ** 2)))


@pytest.mark.parametrize("rule", RULES)
def test_rule_by_hand(rule):
    expected = [slow(rule, a, b) for a, b in zip(DIM, REFERENCE, strict=True)]
    np.testing.assert_allclose(compute(rule, DIM, REFERENCE), expected, atol=1e-3)
    assert (compute(rule, DIM, REFERENCE) > compute("psnr_rgb", DIM, REFERENCE) + 3).all()


@pytest.mark.parametrize("rule", RULES)
def test_identical_black_and_white(rule):
    black, white = np.zeros_like(DIM), np.full_like(DIM, 255)
    assert np.isposinf(compute(rule, black, black)).all()
    # LLFlow cuts down to whole numbers, where rounding of the factor may cost one level
    assert (compute(rule, white, white) > (48 if rule == "psnr_gtmean_llflow" else np.finfo(np.float32).max)).all()
    np.testing.assert_allclose(compute(rule, black, white), 0, atol=1e-5)
    assert np.isfinite(compute(rule, white, DIM)).all()
