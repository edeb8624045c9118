"""DRGN's two stages: who learns from what, equations by hand, the switch, the game's health. Tiny networks."""

import dataclasses
import functools
import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.losses.divergence import divergence
from ultrabm_jax.methods import create_method
from ultrabm_jax.methods.degradation_health import collapse, health
from ultrabm_jax.methods.drgn import Game, Made
from ultrabm_jax.training.state import TrainState

RNG = np.random.default_rng(0)
LOW = RNG.uniform(0, 0.2, (2, 16, 16, 3)).astype(np.float32)
REFERENCE = RNG.uniform(0, 1, (2, 16, 16, 3)).astype(np.float32)
PHOTO = RNG.uniform(0, 1, (2, 16, 16, 3)).astype(np.float32)
BATCH = {"low": LOW, "reference": REFERENCE, "photo": PHOTO}
TINY = {"model.width": 4, "model.groups": 1, "model.depth": 1, "model.reduction": 2, "discriminator.width": 1}
# Compiling well would take longer than all that is computed here.
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
CONFIGS = ["drgn_lol", "drgn_coco", "lw_drgn_lol", "lw_drgn_lol_small"]
ABLATIONS = ["drgn_lol_no_dl_da", "drgn_lol_no_msr", "drgn_lol_no_kl", "drgn_lol_no_ssim"]


def config(name="lw_drgn_lol", **overrides):
    config = importlib.import_module(f"configs.{name}").get_config()
    if overrides:
        config.model.update({"width": 0, "groups": 0, "depth": 0, "reduction": 0})  # else set by the variant
    config.update_from_flattened_dict(overrides)
    return config


@functools.cache
def method(**overrides):
    return create_method(config(**(TINY | overrides)))


@functools.cache
def start(step, **overrides):
    """A state with NumPy's random parameters; compiling `init` would take most of a test's time."""
    one = method(**overrides)
    shapes = jax.eval_shape(one.init, jax.random.key(0), LOW[:1])
    rng = np.random.default_rng(0)

    def draw(tree):
        return jax.tree.map(lambda x: jnp.array(rng.normal(0, 0.3, x.shape), x.dtype), tree)

    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes.opt_state)
    game = Game(zeros.deg, zeros.reg, zeros.discriminators, draw(zeros.discriminator_params), jnp.int32(one.switch))
    params = draw(shapes.params)
    ema = None if shapes.ema is None else params
    return TrainState(jnp.int32(step), params, game, ema, frozen={})


@functools.cache
def compiled(**overrides):
    """{first step: jitted step} of each phase"""
    one = method(**overrides)
    return {first: jax.jit(step, compiler_options=QUICK) for first, step in one.phases(start(0, **overrides)).items()}


@functools.cache
def one_step(step, **overrides):
    """(state before, state after, metrics)"""
    before = start(step, **overrides)
    steps = compiled(**overrides)
    after, metrics = steps[max(first for first in steps if first <= step)](before, BATCH, jax.random.key(0))
    return before, after, {name: float(value) for name, value in metrics.items()}


def networks(state):
    return {**state.params, **{f"d_{name}": tree for name, tree in state.opt_state.discriminator_params.items()}}


def moved(before, after):
    """The networks of which every kernel has moved, and those of which anything has."""
    changes = {}
    for name, tree in networks(before).items():
        pairs = zip(jax.tree_util.tree_leaves_with_path(tree), jax.tree.leaves(networks(after)[name]), strict=True)
        changes[name] = {jax.tree_util.keystr(path): bool((a != b).any()) for (path, a), b in pairs}
    kernels = {name: [now for path, now in each.items() if "kernel" in path] for name, each in changes.items()}
    return {name for name, each in kernels.items() if all(each)}, {
        n for n, each in changes.items() if any(each.values())
    }


STAGE_1, STAGE_2 = 0, 30_000


def test_stage_1_trains_deg_and_both_discriminators_and_not_reg():
    before, after, metrics = one_step(STAGE_1)
    assert moved(before, after) == ({"deg", "d_low", "d_de"}, {"deg", "d_low", "d_de"})
    assert int(after.step) == 1
    assert metrics["learning_rate"] == pytest.approx(5e-4)
    assert {"loss/adv_low", "loss/adv_de", "loss/kl", "loss/d_low", "loss/d_de", "grad_norm"} < set(metrics)
    assert not {"loss/con", "loss/ssim"} & set(metrics)


def test_stage_2_trains_reg_alone():
    before, after, metrics = one_step(STAGE_2)
    assert moved(before, after) == ({"reg"}, {"reg"})
    assert {name for name in metrics if name.startswith("loss/")} == {
        f"loss/{name}" for name in ("total", "con", "con_ref", "ssim", "ssim_ref")
    }
    jax.tree.map(np.testing.assert_array_equal, before.opt_state.discriminators, after.opt_state.discriminators)
    assert metrics["learning_rate"] == pytest.approx(5e-4 * 0.9**5)  # the steps of stage 1 count


def gradients(loss, *arguments):
    """The largest gradient of a scalar by each of the arguments."""
    slopes = jax.jit(jax.grad(loss, argnums=tuple(range(len(arguments)))), compiler_options=QUICK)(*arguments)
    return [max((float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(tree)), default=0.0) for tree in slopes]


def test_gradients_of_each_loss_reach_their_network_and_no_other():
    one, state = method(), start(STAGE_1)
    params, critics = state.params, state.opt_state.discriminator_params

    def discriminators(deg, low, de):
        made = one.make(deg, LOW, PHOTO)
        return one.discriminators_loss({"low": low, "de": de}, made, LOW)[0]

    deg, low, de = gradients(discriminators, params["deg"], critics["low"], critics["de"])
    assert deg == 0
    assert min(low, de) > 0

    def refinement(reg, deg):
        return one.refinement_loss(reg, deg, BATCH)[0]

    reg, deg = gradients(refinement, params["reg"], params["deg"])
    assert reg > 0
    assert deg == 0


def test_each_term_of_stage_1_reaches_deg():
    one, state = method(), start(STAGE_1)
    critics, made = state.opt_state.discriminator_params, one.make(state.params["deg"], LOW, PHOTO)
    slopes = jax.jit(jax.jacrev(lambda made: one.degradation_loss(made, critics)[1]), compiler_options=QUICK)(made)
    reached = {name: [bool(np.abs(x).max() > 0) for x in slope] for name, slope in slopes.items()}
    # degradation, low_ref, degradation_ref; all of them are functions of DeG
    assert reached["adv_low"] == [False, True, False]
    assert reached["adv_de"] == [False, False, True]
    assert reached["kl"] == [True, False, True]


def test_stage_1_is_equations_5_to_7_with_the_discriminators_one_step_ahead():
    one, (before, after, metrics) = method(), one_step(STAGE_1)
    made = one.make(before.params["deg"], LOW, PHOTO)
    old, new = (state.opt_state.discriminator_params for state in (before, after))

    def logits(critics, name, picture):
        return np.asarray(one.discriminator.apply({"params": critics[name]}, picture), np.float64)

    def log_d(x):
        return -np.log1p(np.exp(-x))  # log sigmoid; log(1 - sigmoid(x)) = log sigmoid(-x)

    low = -log_d(logits(old, "low", LOW)) - log_d(-logits(old, "low", made.low_ref))
    assert metrics["loss/d_low"] == pytest.approx(low.mean(), rel=1e-4)
    de = -log_d(logits(old, "de", made.degradation)) - log_d(-logits(old, "de", made.degradation_ref))
    assert metrics["loss/d_de"] == pytest.approx(de.mean(), rel=1e-4)
    adversarial = [
        -log_d(logits(new, "low", made.low_ref)).mean(), -log_d(logits(new, "de", made.degradation_ref)).mean()
    ]  # fmt: skip
    assert [metrics["loss/adv_low"], metrics["loss/adv_de"]] == pytest.approx(adversarial, rel=1e-4)
    kl = float(divergence("softmax", made.degradation, made.degradation_ref).mean())
    assert metrics["loss/kl"] == pytest.approx(kl, rel=1e-3)
    assert metrics["loss/total"] == pytest.approx(kl + 1e-5 * sum(adversarial), rel=1e-3)


def test_synthetic_low_pictures_are_the_photo_and_the_degradation_of_another_scene():
    one, deg = method(), start(STAGE_1).params["deg"]
    made = one.make(deg, LOW, PHOTO)
    np.testing.assert_allclose(made.low_ref, np.clip(made.degradation + PHOTO, 0, 1), atol=1e-6)
    again = one.make(deg, made.low_ref, PHOTO).degradation
    np.testing.assert_allclose(made.degradation_ref, again, atol=1e-5)


@pytest.mark.parametrize(("clip", "low", "gradient"), [("straight", 1.0, 1.0), ("hard", 1.0, 0.0), ("none", 1.5, 1.0)])
def test_how_synthetic_pictures_are_cut(clip, low, gradient):
    cut = method(**{"synthesis.clip": clip})._clip
    assert float(cut(jnp.array(1.5))) == low
    assert float(jax.grad(cut)(1.5)) == gradient
    assert float(cut(jnp.array(0.5))) == 0.5


def test_stage_2_is_equation_9():
    one, (before, _, metrics) = method(), one_step(STAGE_2)
    made = one.make(before.params["deg"], LOW, PHOTO)
    reg = {"params": {"reg": before.params["reg"]}}
    pairs = {"": (LOW - made.degradation, REFERENCE), "_ref": (made.low_ref - made.degradation_ref, PHOTO)}
    total = 0
    for suffix, (base, target) in pairs.items():
        restored = np.asarray(one.model.apply(reg, base, method="refine"), np.float64)
        con = np.sqrt((restored - target) ** 2 + 1e-6).mean()
        assert metrics[f"loss/con{suffix}"] == pytest.approx(con, rel=1e-4)
        total += con - 0.2 * metrics[f"loss/ssim{suffix}"]
    assert metrics["loss/total"] == pytest.approx(total, rel=1e-4)


def test_without_photos_the_other_scenes_are_those_of_the_batch():
    one = method()
    completed = one.complete({"low": LOW, "reference": REFERENCE})
    np.testing.assert_array_equal(completed["photo"], REFERENCE[::-1])
    np.testing.assert_array_equal(one.complete(BATCH)["photo"], PHOTO)
    with pytest.raises(UserError, match=r"set data\.photos, or data\.batch_size to 2 or more"):
        one.complete({"low": LOW[:1], "reference": REFERENCE[:1]})


def test_the_switch_is_where_the_state_says_and_not_the_config():
    one, state = method(), start(STAGE_1)
    assert one.switch == 14_400  # 20 epochs of 720 steps
    assert list(one.phases(state)) == [0, 14_400]
    state = state.replace(opt_state=dataclasses.replace(state.opt_state, switch=jnp.int32(5)))
    assert one.phases(state) == {0: one.degrade_step, 5: one.refine_step}


def test_the_moving_average_is_of_the_generators():
    before, after, _ = one_step(STAGE_1, **{"train.ema_decay": 0.9, "model.dl_da": False})
    mean = jax.tree.map(lambda old, new: 0.9 * old + 0.1 * new, before.ema, after.params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), after.ema, mean)


def test_without_kl_it_is_neither_counted_nor_logged():
    state, one = start(STAGE_1), method(**{"loss.lambda_kl": 0.0})
    made = Made(-LOW, LOW, -2 * LOW)
    total, terms = one.degradation_loss(made, state.opt_state.discriminator_params)
    assert set(terms) == {"total", "adv_low", "adv_de"}
    assert float(total) == pytest.approx(1e-5 * float(terms["adv_low"] + terms["adv_de"]), rel=1e-4)


def test_without_degradation_learning_one_network_learns_from_real_pairs():
    before, after, metrics = one_step(STAGE_1, **{"train.ema_decay": 0.9, "model.dl_da": False})
    assert set(networks(before)) == {"reg"}
    assert moved(before, after)[0] == {"reg"}
    assert {name for name in metrics if name.startswith("loss/")} == {"loss/total", "loss/con", "loss/ssim"}


def test_restored_pictures_are_bounded():
    one, params = method(), start(STAGE_2).params
    last = {"last": {"kernel": 1e3 * params["reg"]["last"]["kernel"]}}
    restored = one.restore({"params": params | {"reg": params["reg"] | last}}, LOW)
    assert (float(restored.min()), float(restored.max())) == (0, 1)


def looks(low_ref, degradation, degradation_ref):
    return {name: float(value) for name, value in health(LOW, low_ref, degradation, degradation_ref).items()}


def test_health_by_hand():
    degradation = -0.5 * LOW
    found = looks(0.5 * LOW, degradation, degradation + 0.01)
    assert found["health/i_d"] == pytest.approx(-LOW.mean() / 2, rel=1e-4)
    assert found["health/i_d_contrast"] == pytest.approx(0.5, rel=1e-4)
    assert found["health/i_d_change"] == pytest.approx(0.02 / LOW.mean(), rel=1e-3)
    assert (found["health/low"], found["health/low_ref"]) == pytest.approx((LOW.mean(), LOW.mean() / 2), rel=1e-4)
    y = LOW @ np.array([0.299, 0.587, 0.114], np.float32)
    assert found["health/y_low/1-16"] == pytest.approx(((y > 1 / 32) & (y <= 1 / 16)).mean(), abs=1e-6)
    for kind, scale in (("low", 1.0), ("ref", 0.5)):
        shares = [value for name, value in found.items() if name.startswith(f"health/y_{kind}/")]
        assert sum(shares) == pytest.approx(1)
        assert shares[0] == pytest.approx((scale * y <= 1 / 32).mean(), abs=1e-6)


def test_the_distance_of_brightness_is_between_alike_and_apart():
    assert looks(LOW, LOW, LOW)["health/y_distance"] == pytest.approx(0, abs=1e-6)
    assert looks(np.ones_like(LOW), LOW, LOW)["health/y_distance"] == pytest.approx(1, abs=1e-3)
    assert 0.1 < looks(0.7 * LOW, LOW, LOW)["health/y_distance"] < 0.9


FLAT = np.full_like(LOW, -0.3)
GAMES = {
    "well": ((0.8 * LOW, -2 * LOW, -1.5 * LOW), set()),
    "constant": ((0.8 * LOW, FLAT, FLAT - 0.1), {"flat"}),
    "copy": ((0.8 * LOW, -2 * LOW, -2 * LOW), {"copy"}),
    "constant copy": ((0.8 * LOW, FLAT, FLAT), {"flat", "copy"}),
    "bright": ((np.ones_like(LOW), -2 * LOW, -LOW), {"brightness"}),
    "black": ((np.zeros_like(LOW), -2 * LOW, -LOW), {"brightness"}),
}


@pytest.mark.parametrize(("maps", "expected"), GAMES.values(), ids=GAMES)
def test_each_way_to_lose_the_game_is_told(maps, expected):
    warned = collapse(looks(*maps))
    assert set(warned) == expected
    assert not any("\n" in text for text in warned.values())


def test_warnings_wait_until_deg_has_had_a_chance_and_stop_with_stage_1():
    one, scalars = method(), looks(*GAMES["constant"][0])
    assert one.warnings(100, scalars) == {}
    assert set(one.warnings(4000, scalars)) == {"flat"}
    assert one.warnings(20_000, {"loss/con": 0.1}) == {}


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({"loss.gan": "wgan"}, "unknown loss.gan 'wgan'; known: nonsaturating, minimax, charbonnier"),
        ({"loss.kl": "js"}, "unknown loss.kl 'js'; known: softmax, gaussian, histogram"),
        ({"synthesis.clip": "soft"}, "unknown synthesis.clip 'soft'; known: straight, hard, none"),
        ({"discriminator.kind": "unet"}, "unknown discriminator.kind 'unet'; known: srgan, atmfn"),
        ({"discriminator.norm": "batch"}, "unknown discriminator.norm 'batch'; known: group, none"),
    ],
)
def test_unknown_values_list_the_known_ones(field, message):
    with pytest.raises(UserError, match=message):
        method(**field)


@pytest.mark.parametrize("kind", ["srgan", "atmfn"])
@pytest.mark.parametrize("size", [16, 50])
def test_discriminators_take_any_size_and_give_a_logit_for_each_picture(random_variables, kind, size):
    critic = method(**{"discriminator.kind": kind}).discriminator
    pictures = RNG.random((3, size, size, 3), np.float32)
    variables = random_variables(critic, pictures)
    logits = jax.jit(critic.apply)(variables, pictures)
    assert logits.shape == (3,)
    np.testing.assert_allclose(logits[1:2], jax.jit(critic.apply)(variables, pictures[1:2]), rtol=1e-4)
    assert np.ptp(logits) > 0


@pytest.mark.parametrize("name", CONFIGS + ABLATIONS)
def test_configs_build(name):
    settings = config(name)
    one = create_method(settings)
    assert one.switch == (0 if "no_dl_da" in name else round(settings.train.steps / 3))
    assert settings.data.patch_size % 4 == 0
    assert {f"lambda_{term}" for term in ("adv_low", "adv_de", "kl", "con", "con_ref", "ssim", "ssim_ref")} < {
        *settings.loss
    }


def test_the_papers_schedule():
    settings = config("drgn_lol")
    one = create_method(settings)
    assert (settings.train.steps, settings.data.batch_size, settings.data.patch_size) == (43_200, 16, 96)
    rates = [float(one.schedule(step)) for step in (0, 5999, 6000, 14_400, 43_199)]
    assert rates == pytest.approx([5e-4, 5e-4, 4.5e-4, 5e-4 * 0.9**2, 5e-4 * 0.9**7])
