"""Microbatch gradients equal the full-batch gradient for any loss that is a mean over examples."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import two_phases
from tiny import tiny_config

from ultrabm_jax.errors import UserError
from ultrabm_jax.methods import create_method
from ultrabm_jax.optim.microbatches import map_microbatches, mean_over_microbatches, value_and_grad
from ultrabm_jax.stages import Stage, check_divisible
from ultrabm_jax.training.guard import keep_if_finite

B = 8


def batch(seed=0):
    x, y = np.random.default_rng(seed).normal(size=(2, B, 5)).astype(np.float32)
    return {"x": jnp.asarray(x), "y": jnp.asarray(y), "gain": jnp.float32(1.5)}


def loss(params, batch):
    errors = jnp.tanh(batch["gain"] * batch["x"] @ params["w"]) - batch["y"]
    terms = {"square": jnp.mean(errors**2), "abs": jnp.mean(jnp.abs(errors))}
    return terms["square"] + terms["abs"], terms


PARAMS = {"w": jnp.asarray(np.random.default_rng(1).normal(size=(5, 5)), jnp.float32)}


@pytest.mark.parametrize("microbatches", [1, 2, 4, 8])
def test_loss_terms_and_gradients_equal_those_of_the_full_batch(microbatches):
    expected = jax.value_and_grad(loss, has_aux=True)(PARAMS, batch())
    found = jax.jit(value_and_grad(loss, microbatches=microbatches))(PARAMS, batch())

    def check(a, b):  # relative to the largest value: an entry that nearly cancels depends on the order of sums
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6 * float(np.abs(b).max()))

    jax.tree.map(check, found, expected)


def test_nonfinite_example_makes_the_mean_nonfinite():
    poisoned = batch()
    poisoned["y"] = poisoned["y"].at[5, 2].set(jnp.nan)
    (total, terms), grads = value_and_grad(loss, microbatches=4)(PARAMS, poisoned)
    assert not np.isfinite(total)
    assert not np.isfinite(terms["abs"])
    assert not np.isfinite(grads["w"]).all()


def test_a_microbatch_holds_every_nth_example_and_the_shared_leaves():
    seen = mean_over_microbatches(lambda part: part["x"][:, 0] * part["gain"], {"x": jnp.arange(8.0)[:, None],
                                                                       "gain": jnp.float32(2)},
                                  microbatches=2)  # fmt: skip
    np.testing.assert_allclose(seen, [1, 5, 9, 13])  # 2 (0 + 1) / 2, 2 (2 + 3) / 2, ...


@pytest.mark.parametrize("microbatches", [1, 2, 4])
def test_map_microbatches_keeps_the_order_of_examples(microbatches):
    out = map_microbatches(lambda b: {"z": b["x"] * b["gain"]}, batch(), microbatches=microbatches)
    np.testing.assert_array_equal(out["z"], batch()["x"] * 1.5)


def test_only_one_microbatch_is_in_memory_at_a_time():
    """Temporary memory of the compiled gradient, of a loss that keeps many activations."""

    def deep(params, batch):
        x = jnp.tile(batch["x"], (1, 40))
        for _ in range(8):
            x = jnp.sin(x @ params)
        return jnp.mean(x**2), {}

    shapes = jax.ShapeDtypeStruct((200, 200), jnp.float32), {"x": jax.ShapeDtypeStruct((4096, 5), jnp.float32)}
    whole, parts = (
        jax.jit(value_and_grad(deep, microbatches=n)).lower(*shapes).compile().memory_analysis().temp_size_in_bytes
        for n in (1, 8)
    )
    assert parts < whole / 4


@pytest.fixture(scope="module")
def steps():
    """{parts: (state, metrics)} of one step of the tiny network, with mixup, on eight examples."""
    rng = np.random.default_rng(0)
    data = {
        "low": jnp.asarray(rng.uniform(0.1, 1, (B, 16, 16, 3)), jnp.float32),
        "reference": jnp.asarray(rng.uniform(0, 1, (B, 32, 32, 3)), jnp.float32),
    }
    found = {}
    for parts in (1, 4):
        method = create_method(tiny_config(train__accumulate=parts, train__mixup_probability=1.0, train__grad_clip=0.0))
        state = jax.jit(method.init)(jax.random.key(0), data["low"][:1]).replace(frozen={})
        found[parts] = jax.jit(method.train_step)(state, data, jax.random.key(1))
        if parts > 1:
            bad = data | {"reference": data["reference"].at[3].set(jnp.nan)}
            after, metrics = jax.jit(method.train_step)(state, bad, jax.random.key(1))
            found["bad"] = state, keep_if_finite(state, after, metrics)
    return found


def test_microbatched_step_equals_full_batch_step(steps):
    (whole, metrics), (parts, metrics_of_parts) = steps[1], steps[4]
    for name, value in metrics.items():
        assert float(metrics_of_parts[name]) == pytest.approx(float(value), rel=2e-6), name
    moments = [jax.tree.leaves(state.opt_state[0].mu) for state in (whole, parts)]
    for a, b in zip(*moments, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-6 * float(np.abs(a).max()))


def test_nonfinite_example_in_one_microbatch_skips_the_whole_step(steps):
    before, after = steps["bad"]
    assert int(after.step) == 1
    jax.tree.map(np.testing.assert_array_equal, after.params, before.params)
    jax.tree.map(np.testing.assert_array_equal, after.opt_state, before.opt_state)


def test_batch_must_be_divisible_by_devices_and_microbatches():
    def stages(n):
        return [Stage(0, 4, n, 16)]

    check_divisible(stages, batch_size=16, devices=4, microbatches=4)
    message = r"batch of 8 is not divisible by the 4 devices that split it times 4 microbatches .*data\.batch_size=16$"
    with pytest.raises(UserError, match=message):
        check_divisible(stages, batch_size=8, devices=4, microbatches=4)


@pytest.mark.soak
@pytest.mark.parametrize("phase", [0, 1])
def test_microbatched_drgn_phases_equal_full_batch_phases(tmp_path, phase):
    """The health metrics are computed per batch or per microbatch, and are not compared."""
    rng, found = np.random.default_rng(0), []
    shape = (4, 16, 16, 3)
    data = {name: jnp.asarray(rng.uniform(0, 1, shape), jnp.float32) for name in ("low", "reference", "photo")}
    for parts in (1, 2):
        method = create_method(two_phases.settings(tmp_path, **{"train.accumulate": parts, "train.grad_clip": 0.0}))
        state = jax.jit(method.init)(jax.random.key(0), data["low"][:1]).replace(frozen={})
        phases = method.phases(state)
        found.append(jax.jit(phases[sorted(phases)[phase]])(state, data, jax.random.key(1)))
    (whole, metrics), (in_parts, metrics_of_parts) = found
    for name in (name for name in metrics if not name.startswith("health/")):
        assert float(metrics_of_parts[name]) == pytest.approx(float(metrics[name]), rel=1e-5), name
    for moment in ("mu", "nu"):  # the bias of one discriminator cancels to 3e-8
        for a, b in zip(*(networks(state.opt_state, moment) for state in (whole, in_parts)), strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * max(float(np.abs(a).max()), 1e-12))


def networks(game, moment):
    """Of DeG, ReG and both critics, each as one vector."""
    deg, reg, critics = (optax.tree_utils.tree_get(of, moment) for of in (game.deg, game.reg, game.discriminators))
    trees = (deg, reg, critics["low"], critics["de"])
    return [np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)]) for tree in trees]
