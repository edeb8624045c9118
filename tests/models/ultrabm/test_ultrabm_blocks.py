"""UltraBM's blocks without a reference: slow definitions, invariants and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrabm_jax.layers.selective_fusion import SelectiveFusion
from ultrabm_jax.models.ultrabm.context_unit import ContextUnit
from ultrabm_jax.models.ultrabm.guidance import neighbourhood_difference
from ultrabm_jax.models.ultrabm.modulation import GuidedAttention, ModulationUnit
from ultrabm_jax.models.ultrabm.rsmu import RSMU

KEY = jax.random.key(0)


def normal(*shape, seed=0):
    return jax.random.normal(jax.random.key(seed), shape)


def test_guidance_against_its_definition():
    x = np.asarray(jax.random.uniform(KEY, (1, 5, 4, 3)))
    a = x @ np.array([0.299, 0.587, 0.114], np.float32)
    h, w = a.shape[1:]
    expected = np.zeros((h, w))
    for i, j in np.ndindex(h, w):
        square = a[0, i : i + 2, j : j + 2]
        neighbours = [(i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)]
        inside = [a[0, y, z] if 0 <= y < h and 0 <= z < w else 0 for y, z in neighbours]
        expected[i, j] = square.max() + np.mean([abs(a[0, i, j] - n) for n in inside])
    np.testing.assert_allclose(neighbourhood_difference(jnp.asarray(x))[0, ..., 0], expected, atol=1e-6)


def test_unknown_gray_mode_lists_the_known():
    with pytest.raises(ValueError, match="luma, inv_half"):
        neighbourhood_difference(jnp.ones((1, 2, 2, 3)), mode="yuv")


@pytest.mark.parametrize("features", ["zero", "random"])
def test_attention_gradient_is_finite(random_variables, features):
    unit = ModulationUnit(8)
    x = jnp.zeros((1, 4, 4, 8)) if features == "zero" else normal(1, 4, 4, 8)
    params = random_variables(unit, x, x)["params"]
    grads = jax.jit(jax.grad(lambda p, x: jnp.sum(unit.apply({"params": p}, x, x) ** 2), argnums=(0, 1)))(params, x)
    assert all(bool(jnp.isfinite(g).all()) for g in jax.tree.leaves(grads))


def test_attention_does_not_depend_on_the_order_of_positions(random_variables):
    """Positions only enter through sums, once the 3x3 convolutions are replaced by their centre tap."""
    module = GuidedAttention(8)
    x, g = normal(1, 4, 4, 8), normal(1, 4, 4, 8, seed=1)
    params = random_variables(module, x, g)["params"]
    for name in ("q_conv", "kv_conv"):
        only = np.zeros_like(kernel := params[name]["kernel"])
        only[1, 1] = kernel[1, 1]
        params[name]["kernel"] = only
    order = jax.random.permutation(KEY, 16)

    def shuffle(a):
        return a.reshape(1, 16, 8)[:, order].reshape(1, 4, 4, 8)

    apply = jax.jit(module.apply)
    y = apply({"params": params}, x, g)
    shuffled = apply({"params": params}, shuffle(x), shuffle(g))
    np.testing.assert_allclose(shuffled, shuffle(y), atol=1e-5)


@pytest.mark.parametrize(
    ("module", "count"),
    [(ContextUnit(8), 1), (ModulationUnit(8), 2), (SelectiveFusion(8), 1)],
    ids=["context", "isdm", "skff"],
)
def test_recorded_statistics_replace_those_of_a_tile(random_variables, module, count):
    """With the statistics of the image, a tile equals the image away from its border."""
    x = normal(1, 24, 8, 8)
    arguments = ([x, x + 1],) if isinstance(module, SelectiveFusion) else (x,) * count
    params = random_variables(module, *arguments)
    rng = np.random.default_rng(0)  # equal kernels of one shape would give equal weights for any statistics
    params = jax.tree.map(lambda leaf: leaf * rng.uniform(0.5, 1.5, leaf.shape).astype(np.float32), params)
    assert "statistics" not in params
    whole, recorded = jax.jit(lambda v, *x: module.apply(v, *x, mutable=["statistics"]))(params, *arguments)
    part = jax.tree.map(lambda a: a[:, :16], arguments)
    apply = jax.jit(module.apply)
    own = apply(params, *part)
    shared = apply({**params, **recorded}, *part)
    np.testing.assert_allclose(shared[:, :10], whole[:, :10], atol=1e-5)
    assert float(jnp.abs(own[:, :10] - whole[:, :10]).max()) > 1e-4


def test_without_fsi_branches_pass_through():
    x = normal(1, 4, 4, 8)
    without, whole = (jax.eval_shape(RSMU(8, fsi=fsi).init, KEY, x)["params"] for fsi in (False, True))
    assert "fsi" not in without
    assert set(whole) - set(without) == {"fsi"}


def test_fsi_order_matters(random_variables):
    x = normal(1, 4, 4, 8)
    variables = random_variables(RSMU(8), x)
    sequential, default = (jax.jit(m.apply)(variables, x) for m in (RSMU(8, fsi_order="sequential"), RSMU(8)))
    assert float(jnp.abs(sequential - default).max()) > 1e-4
