"""DRGN's two phases: gradients of each loss, equations by hand, the switch."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import quick_xla
from tiny_drgn import (
    BATCH,
    LOW,
    PHOTO,
    REFERENCE,
    STAGE_1,
    STAGE_2,
    method,
    networks,
    one_step,
    outputs_of,
    quick,
    start,
)

from ultrabm_jax.losses.divergence import divergence
from ultrabm_jax.methods.drgn import DegOutputs


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
    slopes = quick(jax.jacrev(lambda made: one.degradation_loss(made, BATCH, critics)[1]))(outputs_of(STAGE_1))
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
    total, terms = quick(one.degradation_loss)(made, BATCH, state.opt_state.discriminator_params)
    assert set(terms) == {"total", "adv_low", "adv_de"}
    weights = one.config.loss
    expected = weights.lambda_adv_low * terms["adv_low"] + weights.lambda_adv_de * terms["adv_de"]
    assert float(total) == pytest.approx(float(expected), rel=1e-4)


def test_without_degradation_learning_one_network_learns_from_real_pairs():
    before, after, metrics = one_step(STAGE_1, **{"model.dl_da": False})
    assert set(networks(before)) == {"reg"}
    assert moved(before, after)[0] == {"reg"}
    assert {name for name in metrics if name.startswith("loss/")} == {"loss/total", "loss/con", "loss/ssim"}


def test_restored_images_are_bounded():
    one, params = method(), start(STAGE_2).params
    last = {"last": {"kernel": 1e3 * params["reg"]["last"]["kernel"]}}
    restored = quick(one.task.restore)({"params": {**params, "reg": params["reg"] | last}}, {"low": LOW})
    assert (float(restored.min()), float(restored.max())) == (0, 1)


def test_d_low_sees_gamma_encoded_images():
    encoded, plain = method(**{"loss.adv_low_gamma": 0.4}), method()
    critics, made = start(STAGE_1).opt_state.discriminator_params, outputs_of(STAGE_1)
    tones = [(np.asarray(image) + 1 / 255) ** 0.4 for image in (LOW, made.low_ref)]
    for name in ("d_low", "d_de"):
        _, found = encoded.discriminators_loss(critics, made, LOW)
        _, expected = plain.discriminators_loss(critics, made._replace(low_ref=tones[1]), tones[0])
        assert float(found[f"loss/{name}"]) == pytest.approx(float(expected[f"loss/{name}"]), rel=1e-5)
    _, terms = encoded.degradation_loss(made, BATCH, critics)
    _, expected = plain.degradation_loss(made._replace(low_ref=tones[1]), BATCH, critics)
    assert float(terms["adv_low"]) == pytest.approx(float(expected["adv_low"]), rel=1e-5)
    assert float(terms["adv_low"]) != pytest.approx(
        float(plain.degradation_loss(made, BATCH, critics)[1]["adv_low"]), rel=1e-3
    )


def test_the_pair_term_compares_low_images_with_their_darkened_references():
    """It vanishes where I_D leads from the reference to the low image, and reaches I_D only."""
    settings = {"loss.lambda_pair": 2.0, "loss.adv_low_gamma": 0.4, "model.degradation": "multiplicative"}
    one, critics = method(**settings), start(STAGE_1).opt_state.discriminator_params
    degradation = np.full_like(LOW, -1.5)
    reference = np.clip(BATCH["reference"], 0.2, 1)
    batch = BATCH | {"reference": reference, "low": reference * np.exp(-1.5)}
    made = outputs_of(STAGE_1)._replace(degradation=degradation)
    assert float(one.degradation_loss(made, batch, critics)[1]["pair"]) == pytest.approx(0, abs=1e-6)

    def encoded(x):
        return (x + 1 / 255) ** 0.4

    brighter = made._replace(degradation=degradation + 0.1)
    total, terms = one.degradation_loss(brighter, batch, critics)
    expected = np.abs(encoded(reference * np.exp(-1.4)) - encoded(reference * np.exp(-1.5))).mean()
    assert float(terms["pair"]) == pytest.approx(expected, rel=1e-4)
    without = method(**settings | {"loss.lambda_pair": 0.0}).degradation_loss(brighter, batch, critics)[0]
    assert float(total - without) == pytest.approx(2 * expected, rel=1e-3)
    slopes = jax.grad(lambda made: one.degradation_loss(made, batch, critics)[1]["pair"])(brighter)
    assert [largest(slope) > 0 for slope in slopes] == [True, False, False]


def test_discriminators_have_their_own_rate():
    before, after, _ = one_step(STAGE_1, **{"train.discriminator_rate": 0.0})
    assert moved(before, after) == ({"deg"}, {"deg"})
