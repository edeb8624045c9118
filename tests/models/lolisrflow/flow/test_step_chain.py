"""Chains of steps: rematerialisation, data-dependent initialisation, and a density that integrates to one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrabm_jax.models.lolisrflow.flow.conditional_flow import ConditionalFlow
from ultrabm_jax.models.lolisrflow.flow.flow_step import FlowStep
from ultrabm_jax.models.lolisrflow.flow.step_chain import Chain
from ultrabm_jax.models.lolisrflow.likelihood import log_normal

RNG = np.random.default_rng(0)
Z = RNG.normal(size=(2, 4, 4, 6)).astype(np.float32)
SHIFTED = 3 * Z + np.arange(6, dtype=np.float32)
CONDITION = RNG.normal(size=(2, 4, 4, 5)).astype(np.float32)
CHAIN = Chain(FlowStep, (("hidden", 4), ("order", "injector_first")), 4)


def conditions(batch, height, width, levels, channels=5):
    sizes = [(height // 2**k, width // 2**k) for k in range(1, levels + 1)]
    return [RNG.normal(size=(batch, *size, channels)).astype(np.float32) for size in sizes]


@pytest.mark.parametrize("inverse", [False, True])
def test_remat_changes_no_gradient(inverse, flow_variables):
    variables = flow_variables(CHAIN, Z, CONDITION)
    weights = RNG.normal(size=Z.shape).astype(np.float32)

    def loss(variables, z, condition, remat):
        out, logdets = CHAIN.clone(remat=remat).apply(variables, z, condition, inverse=inverse)
        return jnp.sum(weights * out) + jnp.sum(logdets * jnp.arange(1, 5)[:, None])

    @jax.jit
    def gradients(*inputs):
        grad = jax.value_and_grad(loss, argnums=(0, 1, 2))
        return [grad(*inputs, remat) for remat in ("none", "steps", "inverse")]

    expected, *others = map(jax.tree.leaves, gradients(variables, Z, CONDITION))
    for ours in others:
        for a, b in zip(ours, expected, strict=True):
            assert np.abs(a - b).max() <= 1e-4 * max(1.0, np.abs(b).max())


@pytest.fixture(scope="module")
def fit(flow_variables):
    """(parameters before, a pass that initialises: z -> (out, logdets), variables after)."""
    variables = flow_variables(CHAIN, Z, CONDITION)
    initialise = jax.jit(lambda variables, z, condition: CHAIN.apply(variables, z, condition, mutable=["params"]))
    return variables["params"], lambda z: initialise(variables, z, CONDITION)


def test_initialisation_by_data_changes_every_normalisation_and_nothing_else(fit):
    before, initialise = fit
    _, after = initialise(SHIFTED)
    changed = jax.tree.map(lambda old, new: np.abs(new - old).max() > 1e-3, before, after["params"])
    names = {jax.tree_util.keystr(path, simple=True, separator="/"): bool(leaf)
             for path, leaf in jax.tree_util.tree_leaves_with_path(changed)}  # fmt: skip
    normalisations = {name for name in names if name.endswith(("norm/bias", "norm/log_scale"))}
    assert len(normalisations) == 10
    assert {name for name, moved in names.items() if moved} == normalisations


def test_initialising_pass_equals_a_later_pass(fit):
    (out, logdets), fitted = fit[1](SHIFTED)
    again, same = jax.jit(CHAIN.apply)(fitted, SHIFTED, CONDITION)
    np.testing.assert_allclose(again, out, atol=1e-4)
    np.testing.assert_allclose(same, logdets, rtol=1e-4)


def test_the_first_normalisation_gives_mean_zero_and_variance_one(fit):
    _, fitted = fit[1](SHIFTED)
    norm = jax.tree.map(lambda leaf: leaf[0], fitted["params"]["steps"]["transition"]["norm"])
    normalised = (SHIFTED + norm["bias"]) * np.exp(norm["log_scale"])
    np.testing.assert_allclose(normalised.mean(axis=(0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(normalised.std(axis=(0, 1, 2)), 1, rtol=1e-4)


def test_a_constant_channel_is_initialised_with_finite_values(fit):
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(fit[1](np.zeros_like(Z))))


@pytest.mark.parametrize(("levels", "split"), [(1, False), (2, False), (3, True)])
def test_a_flow_of_any_depth_is_inverted(levels, split, flow_variables):
    flow = ConditionalFlow(levels=levels, steps=3, hidden=8, split=split)
    y, given = RNG.uniform(size=(2, 16, 24, 3)).astype(np.float32), conditions(2, 16, 24, levels)
    variables = flow_variables(flow, y, given)

    @jax.jit
    def there_and_back(variables, y, given):
        _, fitted = flow.apply(variables, y, given, mutable=["params"])
        z, logdets = flow.apply(fitted, y, given)
        again, back = flow.apply(fitted, z, given, inverse=True)
        return z, again, logdets, back

    z, again, logdets, back = there_and_back(variables, y, given)
    assert z.shape == (2, 16 // 2**levels, 24 // 2**levels, 3 * 4**levels)
    assert np.abs(again - y).max() <= 1e-4
    assert set(logdets) == set(back)
    for name, part in logdets.items():
        np.testing.assert_allclose(back[name], -part, rtol=1e-3, atol=1e-2)


def test_the_log_determinant_of_a_flow_is_that_of_its_jacobian(flow_variables):
    flow = ConditionalFlow(levels=2, steps=2, hidden=6, split=True)
    y, given = RNG.uniform(size=(1, 4, 4, 3)).astype(np.float32), conditions(1, 4, 4, 2)
    variables = flow_variables(flow, y, given)

    @jax.jit
    def both(variables, y, given):
        jacobian = jax.jacrev(lambda y: flow.apply(variables, y, given)[0])(y)
        return flow.apply(variables, y, given)[1], jacobian

    logdets, jacobian = both(variables, y, given)
    expected = np.linalg.slogdet(np.asarray(jacobian, np.float64).reshape(48, 48))[1]
    assert sum(float(part.sum()) for part in logdets.values()) == pytest.approx(expected, abs=1e-3)


def test_a_flow_is_a_density_that_integrates_to_one(flow_variables):
    """For images of one pixel with two channels, by the midpoint rule on a grid."""
    chain = Chain(FlowStep, (("hidden", 8), ("order", "injector_first")), 3)
    condition = RNG.normal(size=(1, 1, 1, 4)).astype(np.float32)
    variables = flow_variables(chain, np.zeros((1, 1, 1, 2), np.float32), condition)
    edge = np.linspace(-16, 16, 641)
    middle = (edge[1:] + edge[:-1]) / 2
    points = np.stack(np.meshgrid(middle, middle), axis=-1).reshape(-1, 1, 1, 2).astype(np.float32)

    @jax.jit
    def log_density(variables, y):
        z, logdets = chain.apply(variables, y, jnp.broadcast_to(condition, (len(points), 1, 1, 4)))
        return log_normal(z, jnp.zeros(())) + jnp.sum(logdets, axis=0)

    mass = np.exp(np.asarray(log_density(variables, points), np.float64)) * (middle[1] - middle[0]) ** 2
    assert mass.sum() == pytest.approx(1, abs=1e-3)
    assert mass.max() < 0.1  # the grid is fine enough to see it


EIGHT = """
import jax, jax.numpy as jnp, numpy as np
from ultrabm_jax.models.lolisrflow.flow.actnorm import ActNorm
from ultrabm_jax.training.sharding import AXES, batch_sharding

z = np.random.default_rng(0).normal(size=(8, 4, 4, 3)).astype(np.float32) * np.arange(1, 9)[:, None, None, None]
mesh = jax.make_mesh((4, 1, 2), AXES, axis_types=(jax.sharding.AxisType.Auto,) * 3)
zeros = {"params": {"bias": jnp.zeros(3), "log_scale": jnp.zeros(3)}}
split = jax.device_put(z, batch_sharding(mesh))
assert {part.data.shape for part in split.addressable_shards} == {(2, 2, 4, 3)}
_, fitted = jax.jit(lambda z: ActNorm().apply(zeros, z, mutable=["params"]))(split)
np.testing.assert_allclose(fitted["params"]["bias"], -z.mean(axis=(0, 1, 2)), atol=1e-5)
np.testing.assert_allclose(fitted["params"]["log_scale"], -np.log(z.std(axis=(0, 1, 2))), atol=1e-5)
"""


def test_initialisation_uses_the_global_batch(python):
    done = python("-c", EIGHT, devices=8)
    assert done.returncode == 0, done.stderr[-3000:]
