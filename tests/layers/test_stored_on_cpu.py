"""A barrier for CPU programs that no other program has."""

import jax
import jax.numpy as jnp
import pytest

from ultrabm_jax.layers.stored_on_cpu import stored_on_cpu


def test_value_and_gradient():
    x = jnp.arange(6.0)
    value, slope = jax.jit(jax.value_and_grad(lambda x: jnp.sum(stored_on_cpu(jnp.sin(x)))))(x)
    assert value == pytest.approx(float(jnp.sin(x).sum()), rel=1e-6)
    assert jnp.allclose(slope, jnp.cos(x))


@pytest.mark.parametrize(("platform", "barriers"), [("cpu", 2), ("tpu", 0), ("cuda", 0)])
def test_only_a_cpu_program_has_barriers_around_the_value_and_its_cotangent(platform, barriers):
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(jnp.sin(stored_on_cpu(jnp.sin(x))))))
    text = gradient.trace(jnp.zeros(6)).lower(lowering_platforms=(platform,)).as_text()
    assert text.count("optimization_barrier") == barriers
