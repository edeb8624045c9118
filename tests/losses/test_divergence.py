"""Divergences against values computed by hand, the reference vectors, and what each one cannot distinguish."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.losses.divergence import DIVERGENCES, VARIANCE_FLOOR, divergence, kl_gaussian, soft_histogram

FAKE = jnp.array([0.0, -1.0])


@functools.cache
def compiled(name):
    """The divergence and the gradients of its sum."""
    values = functools.partial(divergence, name)
    return jax.jit(values), jax.jit(jax.grad(lambda a, b: values(a, b).sum(), argnums=(0, 1)))


def maps(*, seed, mean=0.0, std=0.1):
    return np.random.default_rng(seed).normal(mean, std, (2, 12, 10, 3)).astype(np.float32)


def test_softmax_divergence_matches_the_reference(parity):
    reference = parity("open/losses.npz")

    def mean(a):
        return jnp.mean(divergence("softmax", a, reference["kl_b"]))

    value, gradient = jax.jit(jax.value_and_grad(mean))(reference["kl_a"])
    reference.check("drgn_kl", value)
    reference.check("drgn_kl_grad_kl_a", gradient)


def test_softmax_divergence_by_hand():
    """Two positions: p = (1/2, 1/2), q = (3/4, 1/4), so KL = log(2 / sqrt(3))."""
    a, b = np.zeros((1, 1, 2, 1), np.float32), np.array([math.log(3), 0], np.float32).reshape(1, 1, 2, 1)
    expected = math.log(2 / math.sqrt(3))
    assert float(divergence("softmax", a, b)[0]) == pytest.approx(expected, rel=1e-5)
    assert float(divergence("softmax", a, 2 * b, temperature=2.0)[0]) == pytest.approx(expected, rel=1e-5)


def test_gaussian_divergence_by_hand():
    """Values -1, 1 against 0, 4: means 0 and 2, variances 1 and 4; KL = log 2 + (1 + 4) / 8 - 1/2."""
    a, b = (np.array(v, np.float32).reshape(1, 1, 2, 1) for v in ((-1, 1), (0, 4)))
    assert float(kl_gaussian(a, b)[0]) == pytest.approx(math.log(2) + 1 / 8, rel=1e-5)


def test_soft_histogram_shares_a_value_between_two_bins():
    """Four bins of [0, 1] with centres 1/8, 3/8, 5/8, 7/8."""
    x = np.array([0.125, 0.3125, 2.0, -1.0], np.float32).reshape(1, 2, 2, 1)
    shares = soft_histogram(x, bins=4, span=(0.0, 1.0))[0, 0]
    np.testing.assert_allclose(shares, np.array([1 + 0.25 + 1, 0.75, 0, 1]) / 4, atol=1e-6)


@pytest.mark.parametrize("name", list(DIVERGENCES))
def test_divergences_are_per_example_and_zero_only_for_equal_maps(name):
    a, b = maps(seed=1), maps(seed=2, mean=0.05, std=0.2)
    compute, _ = compiled(name)
    np.testing.assert_allclose(compute(a, a), 0, atol=1e-6)
    values = compute(a, b)
    assert values.shape == (2,)
    assert (values > 0).all()
    np.testing.assert_allclose(compute(a[::-1], np.stack([b[1], a[0]]))[0], values[1], rtol=1e-4)


@pytest.mark.parametrize("name", list(DIVERGENCES))
@pytest.mark.parametrize("second", ["flat", "equal", "random"])
def test_divergences_have_finite_gradients(name, second):
    a = np.full((2, 12, 10, 3), -0.2, np.float32) if second == "flat" else maps(seed=3)
    b = maps(seed=4) if second == "random" else a
    assert all(np.isfinite(g).all() for g in compiled(name)[1](a, b))


def test_only_softmax_ignores_a_change_of_level():
    """Softmax allows a collapse: it does not distinguish one constant map from another."""
    a = maps(seed=5)
    values = {name: float(compiled(name)[0](a, a + np.float32(0.3)).mean()) for name in DIVERGENCES}
    assert values["softmax"] == pytest.approx(0, abs=1e-6)
    assert min(values["gaussian"], values["histogram"]) > 0.1


def test_only_softmax_compares_positions():
    a = maps(seed=6)
    values = {name: float(compiled(name)[0](a, a[:, ::-1]).mean()) for name in DIVERGENCES}
    assert values["softmax"] > 1e-3
    assert max(values["gaussian"], values["histogram"]) < 1e-6


def test_gaussian_divergence_does_not_reward_small_maps():
    """Softmax is a hundredth for maps a tenth as strong, so a generator minimises it by doing nothing."""
    a, b = maps(seed=7), maps(seed=8, std=0.2)
    softmax, gaussian = ([float(compiled(n)[0](a / s, b / s).mean()) for s in (10, 1)] for n in ("softmax", "gaussian"))
    assert gaussian[0] == pytest.approx(gaussian[1], rel=0.05)
    assert softmax[0] < 0.02 * softmax[1]
    assert 10 * VARIANCE_FLOOR < 0.01**2


def test_unknown_divergence_lists_the_known_ones():
    with pytest.raises(UserError, match=r"unknown loss\.kl 'js'; known: softmax, gaussian, histogram"):
        divergence("js", FAKE, FAKE)
