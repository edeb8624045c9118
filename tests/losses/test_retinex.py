"""UltraBM's Retinex losses against the authors' values and gradients, and for extreme inputs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from losses.check import check

from ultrabm_jax.losses.retinex import hinged_luminance, illumination_smoothness, self_regularised_luminance


@pytest.fixture(scope="module")
def reference(parity):
    return parity("open/losses.npz")


def test_luminance_of_the_paper(reference):
    check(reference, "l_sl_paper", self_regularised_luminance, "v")


@pytest.mark.parametrize(("name", "key"), [("l_sl_hinge_u", "u"), ("l_sl_hinge_v", "v")])
def test_luminance_of_the_release(reference, name, key):
    check(reference, name, hinged_luminance, key, reduce=jnp.sum)  # the release sums over the batch


@pytest.mark.parametrize("mode", ["inv_half", "luma"])
def test_illumination_smoothness(reference, mode):
    def loss(u, x):
        return illumination_smoothness(u, x, gray_mode=mode)

    check(reference, f"l_is_{mode}", loss, "u", "xdark")


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0, 30.0, 1e4])
def test_luminance_is_finite_with_a_finite_gradient(level):
    """A reflection x / u may be 1e4 where u is at its floor."""
    v = jnp.full((1, 4, 4, 3), level)
    value, grad = jax.value_and_grad(lambda v: self_regularised_luminance(v)[0])(v)
    assert bool(jnp.isfinite(value))
    assert bool(jnp.isfinite(grad).all())


def test_luminance_continues_as_its_tangent():
    """Exact up to a distance of 10, continuous and with a continuous slope there."""
    distances = np.array([9.0, 9.999, 10.001, 12.0])
    means = np.array([[d + 0.714, 0.680, 0.631] for d in distances], np.float32)
    values = self_regularised_luminance(jnp.asarray(means)[:, None, None, :])
    tangent = np.exp(10.0) * (1 + distances - 10) - 1
    expected = np.where(distances <= 10, np.expm1(distances), tangent)
    np.testing.assert_allclose(values, expected, rtol=1e-5)
