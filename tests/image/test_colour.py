"""sRGB's curves and luma, in NumPy and JAX."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from ultrabm_jax.image.colour import LUMA, linear_from_srgb, luma, srgb_from_linear


def test_tone_curves_are_inverse_and_match_the_standard():
    x = np.linspace(0, 1, 1001)
    np.testing.assert_allclose(srgb_from_linear(linear_from_srgb(x)), x, atol=1e-6)
    np.testing.assert_allclose(linear_from_srgb(np.array([0.0, 0.5, 1.0])), [0.0, 0.21404114, 1.0], atol=1e-8)


def test_curves_agree_in_numpy_and_jax():
    x = np.linspace(0, 1, 4097, dtype=np.float32)
    for curve in (linear_from_srgb, srgb_from_linear):
        np.testing.assert_allclose(np.asarray(curve(jnp.asarray(x), xp=jnp)), curve(x), rtol=2e-6, atol=1e-7)


def test_gradient_at_black_is_finite():
    for curve, slope in ((linear_from_srgb, 1 / 12.92), (srgb_from_linear, 12.92)):
        np.testing.assert_allclose(jax.grad(lambda x, curve=curve: curve(x, xp=jnp))(0.0), slope, rtol=1e-6)


def test_luma_is_the_weighted_sum_in_numpy_and_jax():
    rgb = np.random.default_rng(0).random((4, 5, 3), np.float32)
    np.testing.assert_allclose(luma(rgb)[..., 0], rgb @ np.array(LUMA, np.float32), rtol=1e-6)
    np.testing.assert_allclose(np.asarray(luma(jnp.asarray(rgb))), luma(rgb), rtol=1e-6)
