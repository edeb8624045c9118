"""DRGN's adversarial losses against values computed by hand, and their gradients."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.losses.adversarial import GAN_LOSSES, accuracy, discriminator_loss, generator_loss

REAL, FAKE = jnp.array([0.0, 2.0]), jnp.array([0.0, -1.0])


def test_losses_by_hand():
    log2 = math.log(2)
    np.testing.assert_allclose(
        discriminator_loss(REAL, FAKE), [2 * log2, math.log1p(math.exp(-2)) + math.log1p(math.exp(-1))], rtol=1e-5
    )
    np.testing.assert_allclose(generator_loss(FAKE), [log2, math.log1p(math.exp(1))], rtol=1e-5)
    np.testing.assert_allclose(generator_loss(FAKE, gan="minimax"), [-log2, -math.log1p(math.exp(-1))], rtol=1e-5)
    np.testing.assert_allclose(discriminator_loss(REAL, FAKE, gan="charbonnier"), [1, 2], rtol=2e-3)
    np.testing.assert_allclose(generator_loss(FAKE, gan="charbonnier"), [1, 2], rtol=1e-5)


@pytest.mark.parametrize("gan", GAN_LOSSES)
def test_gradients_have_the_right_sign_and_are_finite_for_extreme_logits(gan):
    pull = jax.grad(lambda real, fake: discriminator_loss(real, fake, gan=gan).sum(), argnums=(0, 1))
    real, fake = pull(jnp.array([0.4, -90.0]), jnp.array([0.4, 90.0]))
    assert (real < 0).all()
    assert (fake > 0).all()
    generator = jax.grad(lambda fake: generator_loss(fake, gan=gan).sum())(jnp.array([0.4, -90.0, 90.0]))
    assert generator[0] < 0
    assert np.isfinite(generator).all()


def test_only_the_minimax_gradient_vanishes_for_a_confident_discriminator():
    pull = {gan: float(jax.grad(lambda x, gan=gan: generator_loss(x, gan=gan))(jnp.array(-20.0))) for gan in GAN_LOSSES}
    assert pull["nonsaturating"] == pytest.approx(-1, rel=1e-3)
    assert abs(pull["minimax"]) < 1e-6


@pytest.mark.parametrize(("gan", "expected"), [("nonsaturating", 0.75), ("charbonnier", 0.75)])
def test_accuracy_averages_real_and_fake(gan, expected):
    assert float(accuracy(jnp.array([1.0, -1.0]), jnp.array([-1.0, -2.0]), gan=gan)) == expected


@pytest.mark.parametrize("loss", [generator_loss, lambda fake, gan: discriminator_loss(REAL, fake, gan=gan)])
def test_unknown_loss_lists_the_known_ones(loss):
    with pytest.raises(UserError, match=r"unknown loss\.gan 'wgan'; known: nonsaturating, minimax, charbonnier"):
        loss(FAKE, gan="wgan")
