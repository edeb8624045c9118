"""DRGN's losses against values worked out by hand, the reference vectors, and what each is blind to."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.losses.adversarial import GAMES, accuracy, discriminator_loss, generator_loss
from ultrabm_jax.losses.charbonnier import charbonnier
from ultrabm_jax.losses.divergence import DIVERGENCES, VARIANCE_FLOOR, divergence, kl_gaussian, soft_histogram
from ultrabm_jax.losses.ssim import ssim_loss

RNG = np.random.default_rng(0)
REAL, FAKE = jnp.array([0.0, 2.0]), jnp.array([0.0, -1.0])


@functools.cache
def compiled(name):
    """The divergence and the gradients of its sum."""
    values = functools.partial(divergence, name)
    return jax.jit(values), jax.jit(jax.grad(lambda a, b: values(a, b).sum(), argnums=(0, 1)))


def maps(*, seed, mean=0.0, std=0.1):
    return np.random.default_rng(seed).normal(mean, std, (2, 12, 10, 3)).astype(np.float32)


def test_softmax_divergence_is_the_reference(parity):
    reference = parity("open/losses.npz")

    def mean(a):
        return jnp.mean(divergence("softmax", a, reference["kl_b"]))

    value, gradient = jax.jit(jax.value_and_grad(mean))(reference["kl_a"])
    reference.check("drgn_kl", value)
    reference.check("drgn_kl_grad_kl_a", gradient)


def test_content_losses_are_the_reference(parity):
    reference = parity("open/losses.npz")
    a, b = reference["a"], reference["b"]
    value, gradient = jax.jit(jax.value_and_grad(lambda b: jnp.mean(charbonnier(b, a))))(b)
    reference.check("charbonnier_eps1e-3", value)
    reference.check("charbonnier_eps1e-3_grad_b", gradient)
    # Not by `check`: the reference's window sums to 1 up to float32's rounding, which moves its SSIM by 1.6e-6 from the
    # float64 value of the definition, and ours by 4e-8.
    total = value - 0.2 * (1 - jnp.mean(ssim_loss(b, a)))
    assert float(total) == pytest.approx(float(reference["drgn_reg_total"]), abs=0.2 * 2e-6)


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


def test_soft_histogram_divides_a_value_between_two_bins():
    """Four bins of [0, 1] with centres 1/8, 3/8, 5/8, 7/8."""
    x = np.array([0.125, 0.3125, 2.0, -1.0], np.float32).reshape(1, 2, 2, 1)
    shares = soft_histogram(x, bins=4, span=(0.0, 1.0))[0, 0]
    np.testing.assert_allclose(shares, np.array([1 + 0.25 + 1, 0.75, 0, 1]) / 4, atol=1e-6)


@pytest.mark.parametrize("name", list(DIVERGENCES))
def test_divergences_are_zero_for_equal_maps_positive_otherwise_and_per_example(name):
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


def test_only_softmax_is_blind_to_a_change_of_level():
    """The collapse: one constant map is as good as another."""
    a = maps(seed=5)
    values = {name: float(compiled(name)[0](a, a + np.float32(0.3)).mean()) for name in DIVERGENCES}
    assert values["softmax"] == pytest.approx(0, abs=1e-6)
    assert min(values["gaussian"], values["histogram"]) > 0.1


def test_only_softmax_compares_places():
    a = maps(seed=6)
    values = {name: float(compiled(name)[0](a, a[:, ::-1]).mean()) for name in DIVERGENCES}
    assert values["softmax"] > 1e-3
    assert max(values["gaussian"], values["histogram"]) < 1e-6


def test_gaussian_divergence_does_not_reward_small_maps():
    """Softmax gives a hundredth for maps a tenth as strong, so a generator can please it by doing nothing."""
    a, b = maps(seed=7), maps(seed=8, std=0.2)
    softmax, gaussian = ([float(compiled(n)[0](a / s, b / s).mean()) for s in (10, 1)] for n in ("softmax", "gaussian"))
    assert gaussian[0] == pytest.approx(gaussian[1], rel=0.05)
    assert softmax[0] < 0.02 * softmax[1]
    assert 10 * VARIANCE_FLOOR < 0.01**2


def test_the_games_losses_by_hand():
    log2 = math.log(2)
    np.testing.assert_allclose(
        discriminator_loss(REAL, FAKE), [2 * log2, math.log1p(math.exp(-2)) + math.log1p(math.exp(-1))], rtol=1e-5
    )
    np.testing.assert_allclose(generator_loss(FAKE), [log2, math.log1p(math.exp(1))], rtol=1e-5)
    np.testing.assert_allclose(generator_loss(FAKE, gan="minimax"), [-log2, -math.log1p(math.exp(-1))], rtol=1e-5)
    np.testing.assert_allclose(discriminator_loss(REAL, FAKE, gan="charbonnier"), [1, 2], rtol=2e-3)
    np.testing.assert_allclose(generator_loss(FAKE, gan="charbonnier"), [1, 2], rtol=1e-5)


@pytest.mark.parametrize("gan", GAMES)
def test_each_side_pulls_the_logits_its_way_and_survives_extreme_ones(gan):
    pull = jax.grad(lambda real, fake: discriminator_loss(real, fake, gan=gan).sum(), argnums=(0, 1))
    real, fake = pull(jnp.array([0.4, -90.0]), jnp.array([0.4, 90.0]))
    assert (real < 0).all()
    assert (fake > 0).all()
    generator = jax.grad(lambda fake: generator_loss(fake, gan=gan).sum())(jnp.array([0.4, -90.0, 90.0]))
    assert generator[0] < 0
    assert np.isfinite(generator).all()


def test_only_the_minimax_generator_starves_when_it_is_seen_through():
    pull = {gan: float(jax.grad(lambda x, gan=gan: generator_loss(x, gan=gan))(jnp.array(-20.0))) for gan in GAMES}
    assert pull["nonsaturating"] == pytest.approx(-1, rel=1e-3)
    assert abs(pull["minimax"]) < 1e-6


@pytest.mark.parametrize(("gan", "expected"), [("nonsaturating", 0.75), ("charbonnier", 0.75)])
def test_accuracy_counts_both_sides(gan, expected):
    assert float(accuracy(jnp.array([1.0, -1.0]), jnp.array([-1.0, -2.0]), gan=gan)) == expected


@pytest.mark.parametrize("call", [lambda: generator_loss(FAKE, gan="wgan"), lambda: divergence("js", FAKE, FAKE)])
def test_unknown_names_list_the_known_ones(call):
    with pytest.raises(UserError, match=r"unknown loss\.(gan 'wgan'|kl 'js'); known: "):
        call()
