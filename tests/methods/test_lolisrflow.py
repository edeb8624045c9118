"""LoLiSRFlow's training: its terms, the first step, the ramp, exploding log-determinants, parity of meshes."""

import functools
import importlib
import json
import math
from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ultrabm_jax.layers.colour_ratio import colour_ratio
from ultrabm_jax.methods import create_method
from ultrabm_jax.methods.lolisrflow import LIMIT, _watch
from ultrabm_jax.models.lolisrflow.likelihood import bits_per_pixel, dequantise, log_normal, quantisation_bits
from ultrabm_jax.models.lolisrflow.task import LoLiSRFlowTask
from ultrabm_jax.optim.state import TrainState
from ultrabm_jax.training.meter import Meter, NonFiniteError

RNG = np.random.default_rng(0)
REFERENCE = RNG.uniform(size=(2, 16, 16, 3)).astype(np.float32)
LOW = (0.2 * REFERENCE[:, ::2, ::2]).astype(np.float32)
BATCH = {"low": LOW, "reference": REFERENCE, "equalised": RNG.uniform(size=LOW.shape).astype(np.float32)}
# Sums in another order, of a step through the flow, its inverse and their gradients.
TOLERANCE = 1e-4
TINY = {"width": 8, "hidden": 4, "steps": 1, "levels": 1, "stages": 1, "blocks": 1}
SETTINGS = {"train.ema_decay": 0.9, "train.steps": 1000, "loss.true_ratio": 1.0, "loss.l1_ramp": 0.01}
KEY = jax.random.key(7)


def config(name="lolisrflow_lol_x2_small", **overrides):
    config = importlib.import_module(f"configs.{name}").get_config()
    config.update_from_flattened_dict(overrides)
    return config


@pytest.fixture(scope="module")
def run(flow_variables):
    """(method, states 0, 1 and 2, metrics of the first step and of the second)."""
    settings = config(**SETTINGS)
    settings.model.update(TINY)
    method = create_method(settings)
    states, logged = [start(method, flow_variables)], []
    for step in method.phases(states[0]).values():
        state, metrics = jax.jit(step)(states[-1], BATCH, KEY)
        states.append(state)
        logged.append(metrics)
    return method, states, logged


def start(method, flow_variables):
    """A state with random parameters; compiling `method.init` would take most of a test's time."""
    shapes = jax.eval_shape(method.init, KEY, jnp.zeros((1, 8, 8, 3)))
    params = flow_variables(method.model, jnp.zeros((1, 8, 8, 3)))["params"]
    opt_state = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes.opt_state)
    return TrainState(jnp.int32(0), params, opt_state, None if shapes.ema is None else params, frozen={})


def moved(before, after):
    """{name of a parameter: whether it has changed}."""
    pairs = zip(jax.tree_util.tree_leaves_with_path(before), jax.tree.leaves(after), strict=True)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): bool((a != b).any()) for (path, a), b in pairs}


def test_the_first_step_sets_the_normalisations_and_trains_nothing(run):
    _, (before, after, _), (metrics, _) = run
    assert int(after.step) == 1
    changes = moved(before.params, after.params)
    assert {name for name, changed in changes.items() if changed} == {
        name for name in changes if name.startswith("flow/") and name.endswith(("norm/bias", "norm/log_scale"))
    }
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(after.opt_state))
    jax.tree.map(np.testing.assert_array_equal, after.ema, after.params)
    assert np.isfinite(metrics["loss/nll"])


def test_second_step_trains_every_parameter_used_by_a_level(run):
    """One level sees branch 0 alone, and not what the last exchange makes of the others."""
    _, (_, before, after), (_, metrics) = run
    assert int(after.step) == 2
    idle = {name for name, changed in moved(before.params, after.params).items() if not changed}
    unseen = ("from0_to1", "from0_to2", "from1_to2", "from2_to1", "fusion1", "fusion2")
    assert {name.split("/")[3] for name in idle} == set(unseen)
    assert all(name.startswith("conditioner/encoder/stage1_exchange/") for name in idle)
    assert {name for name, value in metrics.items() if np.ndim(value) == 0} == {
        *(f"loss/{name}" for name in ("total", "nll", "l1")),
        *("logdet/level1", "grad_norm", "learning_rate"),
    }


def test_microbatched_step_equals_full_batch_step(run):
    method, (_, before, whole), (_, expected) = run
    in_parts = method.config.copy_and_resolve_references()
    in_parts.train.accumulate = 2
    after, metrics = jax.jit(create_method(in_parts).train_step)(before, BATCH, KEY)
    for name in ("loss/total", "loss/nll", "loss/l1", "grad_norm"):
        assert float(metrics[name]) == pytest.approx(float(expected[name]), rel=TOLERANCE), name
    for moment in ("mu", "nu"):
        trees = [optax.tree_utils.tree_get(state.opt_state, moment) for state in (after, whole)]
        ours, theirs = (np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)]) for tree in trees)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE * float(np.abs(theirs).max()))


@pytest.fixture(scope="module")
def formulas(run):
    """nll and L1 by the module's parts, in the state before the second step."""
    method, (_, state, _), _ = run

    @jax.jit
    def parts(params, batch):
        apply, low = functools.partial(method.model.apply, {"params": params}), batch["low"]
        condition = apply(low, equalised=batch["equalised"], method="condition")
        noisy = method.augment(jax.random.fold_in(KEY, 1), batch)["noisy"]
        encoded = apply(noisy, low, condition=condition, method="encode")
        true = apply(replace(condition, mean=colour_ratio(batch["reference"])), method="latent")
        restored = apply(apply(condition, method="latent"), low, condition=condition, method="decode")["restored"]
        log_density = encoded["logdet"] + log_normal(encoded["z"], true)
        nll = jnp.mean(-log_density / (math.log(2) * 16 * 16)) + math.log2(32)
        return nll, jnp.mean(jnp.abs(jnp.clip(restored, 0, 1) - batch["reference"]))

    return tuple(map(float, parts(state.params, BATCH)))


def test_each_term_equals_its_formula(run, formulas):
    _, _, (_, metrics) = run
    nll, l1 = formulas
    assert float(metrics["loss/nll"]) == pytest.approx(nll, rel=1e-4)
    assert float(metrics["loss/l1"]) == pytest.approx(l1, rel=1e-4)
    assert float(metrics["loss/total"]) == pytest.approx(nll + 0.1 * 1.5 * l1, rel=1e-4)  # a tenth of the ramp


def test_images_are_restored_at_temperature_zero_and_bounded():
    model = SimpleNamespace(apply=lambda variables, low, equalised: {"restored": 3 * equalised - 1})
    np.testing.assert_allclose(
        LoLiSRFlowTask(model).restore({}, BATCH), np.clip(3 * BATCH["equalised"] - 1, 0, 1), atol=1e-6
    )


def test_the_ramp_and_the_schedule_are_shares_of_the_run():
    method = create_method(config("lolisrflow_rellisur_x2", **{"train.steps": 1000}))
    shares = [float(method.l1_share(jnp.int32(step))) for step in (0, 10, 20, 999)]
    assert shares == pytest.approx([0, 0.5, 1, 1])
    rates = [float(method.schedule(step)) for step in (0, 499, 501, 751, 901, 951, 999)]
    assert np.array(rates) * 2000 == pytest.approx([1, 1, 0.5, 0.25, 0.125, 0.0625, 0.0625])


def test_without_l1_there_is_no_inverse_pass(flow_variables):
    settings = config(**{"loss.lambda_l1": 0.0})
    settings.model.update(TINY)
    method = create_method(settings)
    _, metrics = jax.eval_shape(method.train_step, start(method, flow_variables), BATCH, KEY)
    assert "loss/nll" in metrics
    assert "loss/l1" not in metrics


def test_true_ratio_is_drawn_once_per_step():
    method = create_method(config(**{"loss.true_ratio": 0.2}))
    coins = [bool(method.augment(jax.random.key(i), BATCH)["use_true_ratio"]) for i in range(60)]
    assert 0 < sum(coins) < 30


def test_dequantisation_noise_is_uniform_over_one_level():
    y = np.zeros((4, 32, 32, 3), np.float32)
    noise = np.asarray(dequantise(KEY, y)) * 32
    assert -0.5 <= noise.min() < -0.49
    assert 0.49 < noise.max() <= 0.5
    assert noise.var() == pytest.approx(1 / 12, rel=0.05)
    assert quantisation_bits() == 5
    assert quantisation_bits(per="value") == 15


def test_likelihood_of_a_normal_in_bits():
    z, mean = RNG.normal(size=(2, 3, 4, 5)), RNG.normal(size=(2, 3, 4, 5))
    expected = [sum(math.log(math.exp(-((a - m) ** 2) / 2) / math.sqrt(2 * math.pi)) for a, m in zip(x, y, strict=True))
                for x, y in zip(z.reshape(2, -1), mean.reshape(2, -1), strict=True)]  # fmt: skip
    np.testing.assert_allclose(log_normal(jnp.array(z), jnp.array(mean)), expected, rtol=1e-5)
    np.testing.assert_allclose(bits_per_pixel(jnp.array([-math.log(2) * 30.0]), pixels=10), 3, rtol=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf, 11 * LIMIT, -11 * LIMIT])
def test_excessive_log_determinant_is_named_by_level_and_step(bad):
    values = 16 * 16 * 3
    logdets = {"level1/transition": jnp.zeros((2, 2)), "level1/step": jnp.full((4, 2), 0.1 * values)}
    logdets |= {"level2/step": jnp.zeros((4, 2)).at[2:, 1].set(bad * values)}
    fine = _watch(logdets | {"level2/step": jnp.zeros((4, 2))}, BATCH)
    meter = Meter(lag=0)
    meter.add(1, {"loss/total": jnp.ones(())} | fine)
    assert set(meter.averages()) == {"loss/total", "logdet/level1", "logdet/level2"}
    with pytest.raises(NonFiniteError, match=r"step 2: not finite: .*logdet/level2/step03 = inf") as error:
        meter.add(2, _watch(logdets, BATCH))
    assert "step04" not in str(error.value)


@pytest.mark.parametrize("name", ["lolisrflow_rellisur_x2", "lolisrflow_rellisur_x4", "lolisrflow_lol_x2_small"])
def test_configs_build(name):
    settings = config(name)
    method = create_method(settings)
    assert settings.data.extra_inputs == ("equalised",)
    assert settings.data.patch_size % method.model.padding == 0
    if "rellisur" in name:
        assert settings.data.patch_size * settings.model.scale == 160
        assert method.model.steps == 12


@pytest.mark.soak
def test_eight_devices_initialise_and_train_like_one(python):
    """`make test` covers the statistics (tests/models/lolisrflow/flow) and the training of another network."""
    done = python("tests/methods/flow_on_eight.py", devices=8)
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["fitted_to_half"] > 1e-2  # the batch of half of the devices gives something else
    for mesh in ("data", "mixed"):
        assert report[mesh]["fitted_apart"] < TOLERANCE
        for ours, alone in zip(report[mesh]["metrics"], report["metrics_alone"], strict=True):
            assert ours == pytest.approx(alone, rel=TOLERANCE)
        assert report[mesh]["apart"] < TOLERANCE
    ((payload, times),) = report["data"]["reductions"]  # the gradients, none in the loops of both directions
    assert times == 1
    assert payload <= report["parameters"] + 2**10
