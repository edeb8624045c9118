"""DRGN's two phases: gradients of each loss, equations by hand, the switch.

Tiny networks, and a critic of two layers in the discriminators' place: compiling is most of what a test takes.
"""

import dataclasses
import functools
import importlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import quick_xla

from ultrabm_jax.errors import UserError
from ultrabm_jax.losses.divergence import divergence
from ultrabm_jax.losses.perceptual import perceptual_loss
from ultrabm_jax.methods import create_method
from ultrabm_jax.methods.drgn import AdversarialState, DegOutputs
from ultrabm_jax.optim.state import TrainState
from ultrabm_jax.storage.assets import MissingAsset

RNG = np.random.default_rng(0)
LOW = RNG.uniform(0, 0.2, (2, 16, 16, 3)).astype(np.float32)
REFERENCE = RNG.uniform(0, 1, (2, 16, 16, 3)).astype(np.float32)
PHOTO = RNG.uniform(0, 1, (2, 16, 16, 3)).astype(np.float32)
BATCH = {"low": LOW, "reference": REFERENCE, "photo": PHOTO}
TINY = {"model.width": 4, "model.groups": 1, "model.depth": 1, "model.reduction": 2, "train.ema_decay": 0.9}
# Compiling well would take longer than all that is computed here.
if jax.__version_info__ < (0, 11):  # has no such option any more
    quick_xla.OPTIONS["xla_cpu_use_fusion_emitters"] = False
CONFIGS = [
    "drgn_lol",
    "drgn_coco",
    "lw_drgn_lol",
    "lw_drgn_lol_small",
    "lw_drgn_photo_small",
    "lw_drgn_lol_direct",
    "pairs_x1",
    "demo",
]
ABLATIONS = ["drgn_lol_no_dl_da", "drgn_lol_no_msr", "drgn_lol_no_kl", "drgn_lol_no_ssim"]


def config(name="lw_drgn_lol", **overrides):
    config = importlib.import_module(f"configs.{name}").get_config()
    if overrides:
        config.model.update({"width": 0, "groups": 0, "depth": 0, "reduction": 0})  # else set by the variant
    config.update_from_flattened_dict(overrides)
    return config


class Critic(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.leaky_relu(nn.Conv(4, (3, 3))(x), 0.2)
        return nn.Dense(1)(x.mean(axis=(1, 2)))[:, 0]


@functools.cache
def method(**overrides):
    one = create_method(config(**(TINY | overrides)))
    one.discriminator = Critic()
    return one


@functools.cache
def start(step, **overrides):
    """A state with NumPy's random parameters; compiling `init` would take most of a test's time."""
    one = method(**overrides)
    shapes = jax.eval_shape(one.init, jax.random.key(0), LOW[:1])
    rng = np.random.default_rng(0)

    def draw(tree):
        return jax.tree.map(lambda x: jnp.array(rng.normal(0, 0.3, x.shape), x.dtype), tree)

    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes.opt_state)
    game = AdversarialState(
        zeros.deg, zeros.reg, zeros.discriminators, draw(zeros.discriminator_params), jnp.int32(one.switch)
    )
    params = draw(shapes.params)
    ema = None if shapes.ema is None else params
    return TrainState(jnp.int32(step), params, game, ema, frozen={})


@functools.cache
def compiled(**overrides):
    """{first step: jitted step} of each phase"""
    one = method(**overrides)
    return {
        first: jax.jit(step, compiler_options=quick_xla.OPTIONS)
        for first, step in one.phases(start(0, **overrides)).items()
    }


@functools.cache
def one_step(step, **overrides):
    """(state before, state after, metrics)"""
    before = start(step, **overrides)
    steps = compiled(**overrides)
    after, metrics = steps[max(first for first in steps if first <= step)](before, BATCH, jax.random.key(0))
    return before, after, {name: float(value) for name, value in metrics.items()}


@functools.cache
def quick(function):
    return jax.jit(function, compiler_options=quick_xla.OPTIONS)


@functools.cache
def outputs_of(step):
    """DeG's outputs for the batch in the state at `step`."""
    return quick(method().synthesise)(start(step).params["deg"], BATCH)


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


def test_phase_1_trains_only_deg_and_both_discriminators():
    before, after, metrics = one_step(STAGE_1)
    assert moved(before, after) == ({"deg", "d_low", "d_de"}, {"deg", "d_low", "d_de"})
    assert int(after.step) == 1
    assert metrics["learning_rate"] == pytest.approx(5e-4)
    assert {"loss/adv_low", "loss/adv_de", "loss/kl", "loss/d_low", "loss/d_de", "grad_norm"} < set(metrics)
    assert not {"loss/con", "loss/ssim"} & set(metrics)


def test_phase_2_trains_only_reg():
    before, after, metrics = one_step(STAGE_2)
    assert moved(before, after) == ({"reg"}, {"reg"})
    assert {name for name in metrics if name.startswith("loss/")} == {
        f"loss/{name}" for name in ("total", "con", "con_ref", "ssim", "ssim_ref")
    }
    jax.tree.map(np.testing.assert_array_equal, before.opt_state.discriminators, after.opt_state.discriminators)
    assert metrics["learning_rate"] == pytest.approx(5e-4 * 0.9**5)  # the steps of stage 1 count


def largest(tree):
    return max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(tree))


def test_discriminator_loss_has_gradients_only_for_the_discriminators():
    one, critics = method(), start(STAGE_1).opt_state.discriminator_params
    grad = jax.grad(lambda critics, made: one.discriminators_loss(critics, made, LOW)[0], argnums=(0, 1))
    reached, given = jax.jit(grad, compiler_options=quick_xla.OPTIONS)(critics, outputs_of(STAGE_1))
    assert min(largest(tree) for tree in reached.values()) > 0
    assert largest(given) == 0


def test_refinement_loss_has_gradients_only_for_reg():
    one, params = method(), start(STAGE_2).params
    grad = jax.grad(lambda reg, deg: one.refinement_loss(reg, BATCH, deg=deg, frozen={})[0], argnums=(0, 1))
    reg, deg = jax.jit(grad, compiler_options=quick_xla.OPTIONS)(params["reg"], params["deg"])
    assert largest(reg) > 0
    assert largest(deg) == 0


def test_gradients_of_each_phase_1_term_reach_its_inputs():
    """All three depend on DeG; I_D is D_de's real example, so the generator loss has no gradient for it."""
    one, critics = method(), start(STAGE_1).opt_state.discriminator_params
    slopes = quick(jax.jacrev(lambda made: one.degradation_loss(made, critics)[1]))(outputs_of(STAGE_1))
    reached = {name: [bool(np.abs(x).max() > 0) for x in slope] for name, slope in slopes.items()}
    # degradation, low_ref, degradation_ref
    assert reached["adv_low"] == [False, True, False]
    assert reached["adv_de"] == [False, False, True]
    assert reached["kl"] == [True, False, True]


def test_phase_1_equals_equations_5_to_7_with_discriminators_updated_first():
    one, (before, after, metrics) = method(), one_step(STAGE_1)
    made = outputs_of(STAGE_1)
    old, new = (state.opt_state.discriminator_params for state in (before, after))

    def logits(critics, name, image):
        return np.asarray(quick(one.discriminator.apply)({"params": critics[name]}, image), np.float64)

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
    weights = one.config.loss
    total = weights.lambda_kl * kl + weights.lambda_adv_low * adversarial[0] + weights.lambda_adv_de * adversarial[1]
    assert metrics["loss/total"] == pytest.approx(total, rel=1e-3)


def test_synthetic_low_images_are_the_photo_and_the_degradation_of_another_scene():
    one, deg, made = method(), start(STAGE_1).params["deg"], outputs_of(STAGE_1)
    np.testing.assert_allclose(made.low_ref, np.clip(made.degradation + PHOTO, 0, 1), atol=1e-6)
    again = quick(one.synthesise)(deg, {"low": made.low_ref, "photo": PHOTO}).degradation
    np.testing.assert_allclose(made.degradation_ref, again, atol=1e-5)


def test_multiplicative_degradation_scales_the_photo_and_is_quantised():
    one = method(**{"model.degradation": "multiplicative", "synthesis.bits": 8})
    made = quick(one.synthesise)(start(STAGE_1).params["deg"], BATCH)
    exact = np.clip(np.exp(np.asarray(made.degradation)) * PHOTO, 0, 1)
    np.testing.assert_allclose(made.low_ref, np.rint(exact * 255) / 255, atol=1e-6)
    assert np.abs(made.low_ref - exact).max() > 1e-3
    gradient = jax.grad(lambda x: one._quantise(x).sum())(jnp.array([0.1, 0.7]))
    np.testing.assert_array_equal(gradient, [1, 1])


@pytest.mark.parametrize(
    ("clip", "low", "gradient"),
    [("inward", 1.0, 1.0), ("straight", 1.0, 1.0), ("hard", 1.0, 0.0), ("none", 1.5, 1.0)],
)
def test_clipping_of_synthetic_images(clip, low, gradient):
    cut = method(**{"synthesis.clip": clip})._clip
    assert float(cut(jnp.array(1.5))) == low
    assert float(jax.grad(cut)(1.5)) == gradient
    assert float(jax.grad(cut)(-0.5)) == (gradient if clip != "inward" else 0)  # descent would leave the range
    assert float(cut(jnp.array(0.5))) == 0.5


def test_phase_2_equals_equation_9():
    one, (before, _, metrics), made = method(), one_step(STAGE_2), outputs_of(STAGE_2)
    reg = {"params": {"reg": before.params["reg"]}}
    refine = jax.jit(lambda base: one.model.apply(reg, base, method="refine"), compiler_options=quick_xla.OPTIONS)
    pairs = {"": (LOW - made.degradation, REFERENCE), "_ref": (made.low_ref - made.degradation_ref, PHOTO)}
    total = 0
    for suffix, (base, target) in pairs.items():
        restored = np.asarray(refine(base), np.float64)
        con = np.sqrt((restored - target) ** 2 + 1e-6).mean()
        assert metrics[f"loss/con{suffix}"] == pytest.approx(con, rel=1e-4)
        total += con - 0.2 * metrics[f"loss/ssim{suffix}"]
    assert metrics["loss/total"] == pytest.approx(total, rel=1e-4)


def test_without_photos_other_scenes_come_from_the_batch():
    one = method()
    completed = one.complete({"low": LOW, "reference": REFERENCE})
    np.testing.assert_array_equal(completed["photo"], REFERENCE[::-1])
    np.testing.assert_array_equal(one.complete(BATCH)["photo"], PHOTO)
    with pytest.raises(UserError, match=r"set data\.photos, or data\.batch_size to 2 or more"):
        one.complete({"low": LOW[:1], "reference": REFERENCE[:1]})


def test_phase_switch_is_read_from_the_state_and_not_the_config():
    one, state = method(), start(STAGE_1)
    assert one.switch == 14_400  # 20 epochs of 720 steps
    assert list(one.phases(state)) == [0, 14_400]
    state = state.replace(opt_state=dataclasses.replace(state.opt_state, switch=jnp.int32(5)))
    assert one.phases(state) == {0: one.degrade_step, 5: one.refine_step}


def test_moving_average_covers_only_the_generators():
    before, after, _ = one_step(STAGE_2)
    mean = jax.tree.map(lambda old, new: 0.9 * old + 0.1 * new, before.ema, after.params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), after.ema, mean)


def test_zero_kl_weight_removes_the_term_and_its_log():
    state, one = start(STAGE_1), method(**{"loss.lambda_kl": 0.0})
    made = DegOutputs(-LOW, LOW, -2 * LOW)
    total, terms = quick(one.degradation_loss)(made, state.opt_state.discriminator_params)
    assert set(terms) == {"total", "adv_low", "adv_de"}
    weights = one.config.loss
    expected = weights.lambda_adv_low * terms["adv_low"] + weights.lambda_adv_de * terms["adv_de"]
    assert float(total) == pytest.approx(float(expected), rel=1e-4)


def test_without_degradation_learning_one_network_learns_from_real_pairs():
    before, after, metrics = one_step(STAGE_1, **{"model.dl_da": False})
    assert set(networks(before)) == {"reg"}
    assert moved(before, after)[0] == {"reg"}
    assert {name for name in metrics if name.startswith("loss/")} == {"loss/total", "loss/con", "loss/ssim"}


def test_perceptual_term_of_both_pairs_compares_vgg_features():
    settings = {"loss.lambda_p": 0.5, "loss.lambda_p_ref": 0.25}
    one, state, made = method(**settings), start(STAGE_2), outputs_of(STAGE_2)
    try:
        frozen = one.frozen(jax.random.key(0))
    except MissingAsset as error:
        pytest.skip(str(error))
    reg, deg = state.params["reg"], state.params["deg"]
    total, terms = quick(one.refinement_loss)(reg, BATCH, deg=deg, frozen=frozen)
    without, _ = quick(method().refinement_loss)(reg, BATCH, deg=deg, frozen={})
    pairs = {"p": (LOW - made.degradation, REFERENCE), "p_ref": (made.low_ref - made.degradation_ref, PHOTO)}
    for name, (base, target) in pairs.items():
        restored = one.model.apply({"params": {"reg": reg}}, base, method="refine")
        expected = perceptual_loss(frozen["perceptual"], restored, target, network="vgg16")
        assert float(terms[name]) == pytest.approx(float(expected.mean()), rel=1e-4)
    assert float(total - without) == pytest.approx(float(0.5 * terms["p"] + 0.25 * terms["p_ref"]), rel=1e-4)
    assert one.frozen_shapes() == jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), frozen)
    assert method().frozen(jax.random.key(0)) == method().frozen_shapes() == {}


@pytest.mark.parametrize("name", ["p", "p_ref"])
def test_perceptual_term_is_computed_only_for_the_pairs_that_have_a_weight(name, monkeypatch):
    both = method(**{"loss.lambda_p": 0.5, "loss.lambda_p_ref": 0.25})
    one, state = method(**{f"loss.lambda_{name}": 0.5}), start(STAGE_2)
    seen = []

    def squared_error(frozen, restored, target, *, network, dtype):
        seen.append(restored.shape[0])
        return ((restored - target) ** 2).mean((1, 2, 3))

    monkeypatch.setattr("ultrabm_jax.methods.perceptual.perceptual_loss", squared_error)
    arguments = {"deg": state.params["deg"], "frozen": {"perceptual": {}}}
    _, expected = both.refinement_loss(state.params["reg"], BATCH, **arguments)
    _, terms = one.refinement_loss(state.params["reg"], BATCH, **arguments)
    assert seen == [2 * len(LOW), len(LOW)]
    assert set(terms) == set(expected) - ({"p", "p_ref"} - {name})
    assert float(terms[name]) == pytest.approx(float(expected[name]), rel=1e-6)
    assert float(expected["p"]) != pytest.approx(float(expected["p_ref"]), rel=1e-2)


def test_restored_images_are_bounded():
    one, params = method(), start(STAGE_2).params
    last = {"last": {"kernel": 1e3 * params["reg"]["last"]["kernel"]}}
    restored = quick(one.task.restore)({"params": {**params, "reg": params["reg"] | last}}, {"low": LOW})
    assert (float(restored.min()), float(restored.max())) == (0, 1)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({"loss.gan": "wgan"}, "unknown loss.gan 'wgan'; known: nonsaturating, minimax, charbonnier"),
        ({"loss.kl": "js"}, "unknown loss.kl 'js'; known: softmax, gaussian, histogram"),
        ({"loss.perceptual": "vgg11"}, "unknown loss.perceptual 'vgg11'; known: vgg16, vgg19"),
        ({"synthesis.bits": 17}, "synthesis.bits=17 must be 0 to 16"),
        ({"synthesis.clip": "soft"}, "unknown synthesis.clip 'soft'; known: inward, straight, hard, none"),
        ({"discriminator.kind": "unet"}, "unknown discriminator.kind 'unet'; known: srgan, atmfn"),
        ({"discriminator.norm": "batch"}, "unknown discriminator.norm 'batch'; known: group, none"),
    ],
)
def test_invalid_values_are_refused_with_the_valid_ones(field, message):
    with pytest.raises(UserError, match=message):
        method(**field)


@pytest.mark.parametrize(
    ("kind", "norm", "size"), [("srgan", "group", 50), ("srgan", "none", 16), ("atmfn", "none", 50)]
)
def test_discriminators_take_any_size_and_give_a_logit_for_each_image(random_variables, kind, norm, size):
    critic = create_method(config(**(TINY | {"discriminator.kind": kind, "discriminator.norm": norm}))).discriminator
    images = RNG.random((3, size, size, 3), np.float32)
    variables, others = random_variables(critic, images), np.roll(images, 1, axis=2)
    logits = quick(critic.apply)(variables, images)
    assert logits.shape == (3,)
    others[1] = images[1]
    np.testing.assert_allclose(quick(critic.apply)(variables, others)[1], logits[1], rtol=1e-5)
    assert np.ptp(logits) > 0


@pytest.mark.parametrize("name", CONFIGS + ABLATIONS)
def test_configs_build(name):
    settings = config(name)
    one = create_method(settings)
    if not settings.model.dl_da:
        assert one.switch == 0
    else:
        assert 0 < one.switch == round(settings.train.deg_share * settings.train.steps) < settings.train.steps
    assert settings.data.patch_size % 4 == 0
    assert {f"lambda_{term}" for term in ("adv_low", "adv_de", "kl", "con", "con_ref", "ssim", "ssim_ref")} < {
        *settings.loss
    }


def test_the_papers_schedule():
    settings = config("drgn_lol")
    one = create_method(settings)
    assert (settings.train.steps, settings.data.batch_size, settings.data.patch_size) == (43_200, 16, 96)
    assert one.switch == 14_400  # 20 epochs of 60
    rates = jax.vmap(one.schedule)(jnp.array([0, 5999, 6000, 14_400, 43_199])).tolist()
    assert rates == pytest.approx([5e-4, 5e-4, 4.5e-4, 5e-4 * 0.9**2, 5e-4 * 0.9**7])
