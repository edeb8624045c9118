"""RED's training: its terms, amplification, weight norm, schedule and configs. One small network, compiled once."""

import functools
import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrabm_jax.methods import create_method
from ultrabm_jax.models.red.weight_norm import fold_weight_norm
from ultrabm_jax.optim.state import TrainState

RNG = np.random.default_rng(0)
RATIO = np.array([100, 300], np.float32)
LOW = RNG.uniform(0, 0.01, (2, 32, 32, 1)).astype(np.float32)
REFERENCE = RNG.uniform(0, 1, (2, 32, 32, 3)).astype(np.float32)
BATCH = {"low": LOW, "reference": REFERENCE, "ratio": RATIO}


def config(name="red_sid_sony", **overrides):
    config = importlib.import_module(f"configs.{name}").get_config()
    config.update_from_flattened_dict(overrides)
    return config


@functools.cache
def one_step(**overrides):
    """(method, state before, state after, metrics) of a network with one layer in each RDB*, on 32x32 patches."""
    settings = config(**{"loss.lambda_ms": 0.0, **overrides})
    settings.model.dense_layers = (1, 1, 1)
    method = create_method(settings)
    shapes = jax.eval_shape(method.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
    params = jax.tree.map(lambda x: jnp.array(RNG.normal(0, 0.1, x.shape), x.dtype), shapes.params)
    opt_state = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes.opt_state)
    before = TrainState(jnp.int32(0), params, opt_state, None, frozen={})
    after, metrics = jax.jit(method.train_step)(before, BATCH, jax.random.key(0))
    return method, before, after, {name: float(value) for name, value in metrics.items()}


def test_the_step_amplifies_each_example_by_its_ratio():
    method, before, _, metrics = one_step()
    restored = jax.jit(method.task.restore)(method.variables(before), {"low": LOW * RATIO[:, None, None, None]})
    assert metrics["loss/r"] == pytest.approx(float(jnp.abs(restored - REFERENCE).mean()), rel=1e-4)
    assert metrics["loss/total"] == pytest.approx(metrics["loss/r"])
    again = jax.jit(method.task.restore)(method.variables(before), BATCH)
    np.testing.assert_allclose(again, restored, atol=1e-6)


def test_clipping_the_amplified_mosaic_is_an_option():
    method, state, *_ = one_step()
    amplified = LOW * RATIO[:, None, None, None]
    assert amplified.max() > 1
    plain = jax.jit(method.model.apply)({"params": state.params}, jnp.minimum(amplified, 1))["restored"]
    clipping = jax.jit(method.model.clone(clip_input=True).apply)({"params": state.params}, amplified)["restored"]
    np.testing.assert_array_equal(clipping, plain)


def test_a_step_trains_every_parameter_gains_and_directions():
    _, before, after, metrics = one_step()
    moved = jax.tree.map(lambda a, b: bool((a != b).any()), before.params, after.params)
    assert all(jax.tree.leaves(moved))
    assert "gain" in after.params["lse_conv"]
    assert metrics["learning_rate"] == pytest.approx(1e-4)
    assert int(after.step) == 1


def test_restored_images_are_bounded_and_weight_norm_is_folded():
    method, before, _, _ = one_step()
    variables = jax.tree.map(lambda x: 8 * x, method.variables(before))
    restored = np.asarray(jax.jit(method.task.restore)(variables, {"low": 100 * LOW}))
    plain = jax.jit(method.model.apply)(variables, 100 * LOW)["restored"]
    np.testing.assert_allclose(restored, plain, atol=1e-4)
    assert (restored.min(), restored.max()) == (0, 1)
    folded = {"params": fold_weight_norm(variables["params"])}
    np.testing.assert_allclose(jax.jit(method.task.restore)(folded, {"low": 100 * LOW}), restored, atol=1e-4)


@pytest.mark.parametrize("weights", [(1.0, 0.2), (0.8, 0.2)], ids=["code", "paper"])
def test_both_losses_are_weighted_and_summed(weights):
    settings = config(**{"loss.lambda_r": weights[0], "loss.lambda_ms": weights[1]})
    settings.model.dense_layers = (1,)
    method = create_method(settings)
    low, reference = jnp.zeros((1, 192, 192, 1)), jnp.zeros((1, 192, 192, 3))
    shapes = jax.eval_shape(method.init, jax.random.key(0), low)
    params = jax.tree.map(lambda x: np.full(x.shape, 0.1, x.dtype), shapes.params)
    batch = {"low": low, "reference": reference, "ratio": jnp.ones(1)}
    total, terms = jax.jit(lambda p: method._loss(p, frozen={}, batch=batch))(params)
    assert set(terms) == {"total", "r", "ms"}
    assert float(total) == pytest.approx(weights[0] * float(terms["r"]) + weights[1] * float(terms["ms"]), rel=1e-5)
    assert float(terms["ms"]) > 0


@pytest.mark.parametrize("name", ["red_sid_sony", "red_sid_fuji", "red_synthetic"])
def test_configs_build_and_keep_the_papers_schedule(name):
    settings = config(name)
    method = create_method(settings)
    steps = settings.train.steps
    rates = [float(method.schedule(step)) for step in (0, steps // 2 - 1, steps // 2 + 1, steps - 1)]
    assert rates == pytest.approx([settings.train.learning_rate] * 2 + [settings.train.learning_rate / 10] * 2)
    assert settings.data.patch_size > 160 or not settings.loss.lambda_ms
    assert settings.data.patch_size % method.model.multiple == 0
