"""Steps in a row: the same with less memory, initialised by data, and a density that integrates to one."""

import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrabm_jax.layers.flow.chain import Chain
from ultrabm_jax.layers.flow.flow import ConditionalFlow
from ultrabm_jax.layers.flow.step import FlowStep

RNG = np.random.default_rng(0)
Z = RNG.normal(size=(2, 4, 4, 6)).astype(np.float32)
CONDITION = RNG.normal(size=(2, 4, 4, 5)).astype(np.float32)
CHAIN = Chain(FlowStep, (("hidden", 8), ("order", "injector_first")), 4)


def conditions(batch, height, width, levels, channels=5):
    sizes = [(height // 2**k, width // 2**k) for k in range(1, levels + 1)]
    return [RNG.normal(size=(batch, *size, channels)).astype(np.float32) for size in sizes]


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("remat", ["steps", "inverse"])
def test_forgetting_activations_changes_no_gradient(remat, inverse, flow_variables):
    variables = flow_variables(CHAIN, Z, CONDITION)
    weights = RNG.normal(size=Z.shape).astype(np.float32)

    def gradients(chain):
        def loss(variables, z, condition):
            out, logdets = chain.apply(variables, z, condition, inverse=inverse)
            return jnp.sum(weights * out) + jnp.sum(logdets * jnp.arange(1, 5)[:, None])

        return jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2)))(variables, Z, CONDITION)

    expected, ours = gradients(CHAIN), gradients(CHAIN.clone(remat=remat))
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(expected), strict=True):
        assert np.abs(a - b).max() <= 1e-4 * max(1.0, np.abs(b).max())


def norms(params):
    """{name: (steps, c) log scales} of every activation normalisation."""
    leaves = jax.tree_util.tree_leaves_with_path(params)
    named = {jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(leaf) for path, leaf in leaves}
    return {name: leaf for name, leaf in named.items() if name.endswith(("norm/bias", "norm/log_scale"))}


def test_initialisation_by_data_normalises_every_activation_and_nothing_else(flow_variables):
    variables = flow_variables(CHAIN, Z, CONDITION)
    z = 3 * Z + np.arange(6, dtype=np.float32)
    (out, logdets), fitted = jax.jit(lambda z: CHAIN.apply(variables, z, CONDITION, mutable=["params"]))(z)
    again, same = jax.jit(CHAIN.apply)(fitted, z, CONDITION)
    np.testing.assert_allclose(again, out, atol=1e-4)
    np.testing.assert_allclose(same, logdets, rtol=1e-4)
    before, after = norms(variables["params"]), norms(fitted["params"])
    assert len(after) == 10
    assert all(np.abs(after[name] - before[name]).max() > 1e-3 for name in after)
    others = jax.tree_util.tree_leaves_with_path(variables["params"])
    for path, leaf in others:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        if name not in after:
            found = fitted["params"]
            for key in path:
                found = found[key.key]
            np.testing.assert_array_equal(found, leaf)


def test_the_first_normalisation_gives_mean_zero_and_variance_one(flow_variables):
    variables = flow_variables(CHAIN, Z, CONDITION)
    z = 3 * Z + np.arange(6, dtype=np.float32)
    _, fitted = CHAIN.apply(variables, z, CONDITION, mutable=["params"])
    norm = jax.tree.map(lambda leaf: leaf[0], fitted["params"]["steps"]["transition"]["norm"])
    normalised = (z + norm["bias"]) * np.exp(norm["log_scale"])
    np.testing.assert_allclose(normalised.mean(axis=(0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(normalised.std(axis=(0, 1, 2)), 1, rtol=1e-4)


def test_a_constant_channel_is_initialised_with_finite_values(flow_variables):
    variables = flow_variables(CHAIN, Z, CONDITION)
    (out, _), fitted = CHAIN.apply(variables, np.zeros_like(Z), CONDITION, mutable=["params"])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((out, fitted)))


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("levels", [1, 2, 3])
def test_a_flow_of_any_depth_is_inverted(levels, split, flow_variables):
    flow = ConditionalFlow(levels=levels, steps=3, hidden=8, split=split)
    y, given = RNG.uniform(size=(2, 16, 24, 3)).astype(np.float32), conditions(2, 16, 24, levels)
    variables = flow_variables(flow, y, given)

    @jax.jit
    def there_and_back(variables):
        _, fitted = flow.apply(variables, y, given, mutable=["params"])
        z, logdets = flow.apply(fitted, y, given)
        again, back = flow.apply(fitted, z, given, inverse=True)
        return z, again, logdets, back

    z, again, logdets, back = there_and_back(variables)
    assert z.shape == (2, 16 // 2**levels, 24 // 2**levels, 3 * 4**levels)
    assert np.abs(again - y).max() <= 1e-4
    assert set(logdets) == set(back)
    for name, part in logdets.items():
        np.testing.assert_allclose(back[name], -part, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("split", [False, True])
def test_the_log_determinant_of_a_flow_is_that_of_its_jacobian(split, flow_variables):
    flow = ConditionalFlow(levels=2, steps=2, hidden=6, split=split)
    y, given = RNG.uniform(size=(1, 4, 4, 3)).astype(np.float32), conditions(1, 4, 4, 2)
    variables = flow_variables(flow, y, given)
    (_, logdets), jacobian = jax.jit(
        lambda y: (flow.apply(variables, y, given), jax.jacrev(lambda y: flow.apply(variables, y, given)[0])(y))
    )(y)
    expected = np.linalg.slogdet(np.asarray(jacobian, np.float64).reshape(48, 48))[1]
    assert sum(float(part.sum()) for part in logdets.values()) == pytest.approx(expected, abs=1e-3)


def test_a_flow_is_a_density_that_integrates_to_one(flow_variables):
    """Of pictures with one pixel of two channels, by the midpoint rule on a grid."""
    chain = Chain(FlowStep, (("hidden", 8), ("order", "injector_first")), 3)
    condition = RNG.normal(size=(1, 1, 1, 4)).astype(np.float32)
    variables = flow_variables(chain, np.zeros((1, 1, 1, 2), np.float32), condition)
    edge = np.linspace(-16, 16, 641)
    middle = (edge[1:] + edge[:-1]) / 2
    points = np.stack(np.meshgrid(middle, middle), axis=-1).reshape(-1, 1, 1, 2).astype(np.float32)

    @jax.jit
    def log_density(y):
        z, logdets = chain.apply(variables, y, jnp.broadcast_to(condition, (len(points), 1, 1, 4)))
        return -0.5 * jnp.sum(z**2, axis=(1, 2, 3)) - math.log(2 * math.pi) + jnp.sum(logdets, axis=0)

    mass = np.exp(np.asarray(log_density(points), np.float64)) * (middle[1] - middle[0]) ** 2
    assert mass.sum() == pytest.approx(1, abs=1e-3)
    assert mass.max() < 0.1  # the grid is fine enough to see it


EIGHT = """
import json, jax, numpy as np
from ultrabm_jax.layers.flow.flow import ConditionalFlow
from ultrabm_jax.training.sharding import AXES, batch_sharding

flow = ConditionalFlow(levels=2, steps=2, hidden=8)
rng = np.random.default_rng(0)
y = rng.uniform(size=(8, 16, 16, 3)).astype(np.float32) * np.arange(1, 9)[:, None, None, None]
given = [rng.normal(size=(8, s, s, 4)).astype(np.float32) for s in (8, 4)]
variables = jax.jit(flow.init)(jax.random.key(0), y[:1], [c[:1] for c in given])

def fit(variables, y, given):
    return flow.apply(variables, y, given, mutable=["params"])[1]["params"]

axes = (jax.sharding.AxisType.Auto,) * 3
mesh = jax.make_mesh((4, 1, 2), AXES, axis_types=axes)
one = jax.jit(fit)(variables, y, given)
many = jax.jit(fit)(variables, *jax.device_put((y, given), batch_sharding(mesh)))
apart = jax.tree.map(lambda a, b: float(np.abs(np.asarray(a) - np.asarray(b)).max()), one, many)
half = jax.jit(fit)(variables, y[:4], [c[:4] for c in given])
moved = jax.tree.map(lambda a, b: float(np.abs(np.asarray(a) - np.asarray(b)).max()), one, half)
print(json.dumps({"apart": max(jax.tree.leaves(apart)), "moved": max(jax.tree.leaves(moved))}))
"""


def test_initialisation_sees_the_batch_of_all_devices(python):
    done = python("-c", EIGHT, devices=8)
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["apart"] < 1e-4
    assert report["moved"] > 0.1  # half of the batch gives something else
