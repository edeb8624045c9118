"""The two kinds of steps that a level of the flow repeats.

    transition   ActNorm, invertible 1x1 convolution
    flow step    ActNorm, invertible 1x1 convolution, affine injector, conditional coupling

LLFlow's code has the injector before the coupling, the paper lists the coupling first (`order`). The log-determinants
returned here leave out the 1x1 convolution's, which `Chain` adds for all steps at once.
"""

from __future__ import annotations

from collections.abc import Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp

from ultrabm_jax.models.lolisrflow.flow.actnorm import ActNorm
from ultrabm_jax.models.lolisrflow.flow.coupling import AffineInjector, ConditionalCoupling
from ultrabm_jax.models.lolisrflow.flow.invertible_conv import mix

Matrices = Mapping[str, jax.Array]  # "matrix" (c, c) and, for the inverse direction, "inverse" (c, c)


class Transition(nn.Module):
    """(b, h, w, c) -> ((b, h, w, c), logdet (b,)). The condition is not used."""

    @nn.compact
    def __call__(
        self, z: jax.Array, condition: jax.Array, matrices: Matrices, *, inverse: bool = False
    ) -> tuple[jax.Array, jax.Array]:
        norm = ActNorm(name="norm")
        if inverse:
            return norm(mix(z, matrices["inverse"]), inverse=True)
        z, logdet = norm(z)
        return mix(z, matrices["matrix"]), logdet


class FlowStep(nn.Module):
    """(b, h, w, c), condition (b, h, w, any) -> ((b, h, w, c), logdet (b,))."""

    hidden: int
    order: str = "injector_first"

    @nn.compact
    def __call__(
        self, z: jax.Array, condition: jax.Array, matrices: Matrices, *, inverse: bool = False
    ) -> tuple[jax.Array, jax.Array]:
        transition = Transition(name="transition")
        affines: list[nn.Module] = [
            AffineInjector(self.hidden, name="injector"),
            ConditionalCoupling(self.hidden, name="coupling"),
        ]
        if (self.order == "coupling_first") != inverse:
            affines.reverse()
        total = jnp.zeros(z.shape[0])
        if not inverse:
            z, total = transition(z, condition, matrices)
        for layer in affines:
            z, logdet = layer(z, condition, inverse=inverse)
            total += logdet
        if inverse:
            z, logdet = transition(z, condition, matrices, inverse=True)
            total += logdet
        return z, total
