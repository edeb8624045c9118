"""Parameters behave as those of `flax.linen.Module.param`, without tracing initialisers that are not needed."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.errors import ScopeParamNotFoundError, ScopeParamShapeError

from ultrabm_jax.layers.parameters import param

X = jnp.ones((2, 3))
traced = []


def counting(key: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> jax.Array:
    traced.append(shape)
    return jax.random.uniform(key, shape, dtype)


class Ours(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return x * param(self, "gain", counting, (x.shape[-1],))


class Flax(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return x * self.param("gain", counting, (x.shape[-1],))


class Twice(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return param(self, "gain", counting, (3,)) + param(self, "gain", counting, (3,))


def test_it_initialises_as_flax_does_and_traces_no_initialiser_later():
    ours, theirs = Ours().init(jax.random.key(1), X), Flax().init(jax.random.key(1), X)
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)
    traced.clear()
    np.testing.assert_array_equal(Ours().apply(ours, X), Flax().apply(theirs, X))
    assert traced == [(3,)]  # by flax


@pytest.mark.parametrize("module", [Ours(), Flax()])
def test_wrong_variables_are_reported_as_by_flax(module):
    with pytest.raises(ScopeParamShapeError, match=r'"gain" in "/".* shape \(3,\), .* has shape \(4,\)'):
        module.apply({"params": {"gain": jnp.ones(4)}}, X)
    with pytest.raises(ScopeParamNotFoundError, match='"gain" in scope "/"'):
        module.apply({"params": {"other": jnp.ones(3)}}, X)


def test_a_name_that_is_taken_is_refused():
    with pytest.raises(ValueError, match="gain"):
        Twice().init(jax.random.key(0), X)
    with pytest.raises(ValueError, match="gain"):
        Twice().apply({"params": {"gain": jnp.ones(3)}}, X)
