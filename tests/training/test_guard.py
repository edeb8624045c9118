import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrabm_jax.optim.state import TrainState
from ultrabm_jax.training.guard import keep_if_finite


def state(step):
    value = jnp.full((2,), step, jnp.float32)
    return TrainState(jnp.int32(step), {"w": value}, (value, jnp.int32(step)), {"w": value}, frozen={"f": value})


GOOD = {"loss/total": jnp.float32(1), "kl": jnp.array([jnp.nan, 0.0])}
CASES = {
    "finite": ({}, True),
    "nan": ({"loss/r": jnp.float32(jnp.nan)}, False),
    "infinite gradient": ({"grad_norm": jnp.float32(jnp.inf)}, False),
    "nan in a metric that this step has": ({"kl": jnp.array([jnp.nan, 1.0])}, False),
    "number in a metric that this step has": ({"kl": jnp.array([2.0, 1.0])}, True),
}


@pytest.mark.parametrize(("metrics", "good"), CASES.values(), ids=CASES)
def test_nonfinite_step_changes_only_the_step_counter(metrics, good):
    kept = jax.jit(keep_if_finite)(state(4), state(5), GOOD | metrics)
    expected = state(5) if good else state(4).replace(step=jnp.int32(5), frozen=state(5).frozen)
    jax.tree.map(np.testing.assert_array_equal, kept, expected)
    assert jax.tree.structure(kept) == jax.tree.structure(expected)
