"""Adversarial losses of a discriminator, with logits (b,) for "real", and a generator; one value per example (b,).

discriminator_loss  -log D(real) - log(1 - D(fake)), equations 5 and 6 of DRGN; D = sigmoid(logit)
generator_loss
  nonsaturating     -log D(fake)              strong gradient where the discriminator is right (Goodfellow et al. 2014)
  minimax           log(1 - D(fake))          the literal minimax objective
  charbonnier       sqrt((logit - target)^2 + epsilon^2) for both players, with targets 1 and 0, as in ATMFN, which DRGN
                    cites for the weight of these losses
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ultrabm_jax.errors import UserError

GAN_LOSSES = ("nonsaturating", "minimax", "charbonnier")
EPSILON = 1e-3


def discriminator_loss(real: jax.Array, fake: jax.Array, *, gan: str = "nonsaturating") -> jax.Array:
    """Small where the discriminator separates real from generated images; `gan` is one of `GAN_LOSSES`."""
    _check(gan)
    if gan == "charbonnier":
        return _distance(real, 1.0) + _distance(fake, 0.0)
    return jax.nn.softplus(-real) + jax.nn.softplus(fake)


def generator_loss(fake: jax.Array, *, gan: str = "nonsaturating") -> jax.Array:
    """Small where generated images pass for real ones; `gan` is one of `GAN_LOSSES`."""
    _check(gan)
    if gan == "charbonnier":
        return _distance(fake, 1.0)
    return -jax.nn.softplus(fake) if gan == "minimax" else jax.nn.softplus(-fake)


def accuracy(real: jax.Array, fake: jax.Array, *, gan: str = "nonsaturating") -> jax.Array:
    """Fraction of images that the discriminator classifies correctly, (); 0.5 is chance level."""
    threshold = 0.5 if gan == "charbonnier" else 0.0
    return (jnp.mean(real > threshold) + jnp.mean(fake <= threshold)) / 2


def _distance(logit: jax.Array, target: float) -> jax.Array:
    return jnp.sqrt((logit - target) ** 2 + EPSILON**2)


def _check(gan: str) -> None:
    if gan not in GAN_LOSSES:
        raise UserError(f"unknown loss.gan {gan!r}; known: {', '.join(GAN_LOSSES)}")
