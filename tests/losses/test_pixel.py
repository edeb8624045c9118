"""Pixel losses against the reference values and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from losses.check import check

from ultrabm_jax.losses.pixel import charbonnier, l1, smooth_l1
from ultrabm_jax.losses.structural import ssim_loss


@pytest.fixture(scope="module")
def reference(parity):
    return parity("open/losses.npz")


def test_smooth_l1_beyond_one(reference):
    check(reference, "smooth_l1_vs_zero", lambda u: smooth_l1(u, jnp.zeros_like(u)), "u_big")


def test_l1(reference):
    check(reference, "l1", lambda b, a: l1(b, a), "b", "a")


def test_losses_are_per_example():
    a, b = jnp.zeros((3, 4, 4, 1)), jnp.arange(3.0)[:, None, None, None] * jnp.ones((3, 4, 4, 1))
    np.testing.assert_allclose(l1(a, b), [0, 1, 2])
    np.testing.assert_allclose(smooth_l1(a, b), [0, 0.5, 1.5])


def test_drgn_content_losses_match_the_reference(parity):
    reference = parity("open/losses.npz")
    a, b = reference["a"], reference["b"]
    value, gradient = jax.jit(jax.value_and_grad(lambda b: jnp.mean(charbonnier(b, a))))(b)
    reference.check("charbonnier_eps1e-3", value)
    reference.check("charbonnier_eps1e-3_grad_b", gradient)
    # Not by `check`: the reference's window sums to 1 up to float32's rounding, which moves its SSIM by 1.6e-6 from the
    # float64 value of the definition, and ours by 4e-8.
    total = value - 0.2 * (1 - jnp.mean(ssim_loss(b, a)))
    assert float(total) == pytest.approx(float(reference["drgn_reg_total"]), abs=0.2 * 2e-6)
