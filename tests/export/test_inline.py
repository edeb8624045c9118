import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.export.conftest import make_source
from ultrabm_jax.export.inline import CALLS, inline_calls


@pytest.mark.parametrize("name", ["sci", "lw_drgn", "red"])
def test_values_are_equal_and_no_call_is_left(name):
    task, variables = (source := make_source(name)).task, source.variables
    low = np.random.default_rng(0).random((1, task.multiple, 2 * task.multiple, task.channels), np.float32)

    def restore(x):
        return task.restore(variables, {"low": x})

    program = jax.make_jaxpr(inline_calls(restore))(low)
    assert not {equation.primitive.name for equation in program.jaxpr.eqns} & set(CALLS)
    np.testing.assert_allclose(jax.jit(inline_calls(restore))(low), jax.jit(restore)(low), atol=1e-5)


def test_operations_on_weights_are_computed_and_operations_on_the_input_are_not():
    weights = jnp.arange(6.0)

    def scaled(x):
        return x * jax.nn.relu(jnp.sin(weights) / jnp.linalg.norm(weights)) * jnp.eye(6)[2]

    program = jax.make_jaxpr(inline_calls(scaled))(jnp.ones(6))
    assert {equation.primitive.name for equation in program.jaxpr.eqns} == {"mul"}
    np.testing.assert_allclose(jax.jit(inline_calls(scaled))(jnp.ones(6)), scaled(jnp.ones(6)), rtol=1e-6)
