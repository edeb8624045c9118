"""DRGN's synthetic low images: forms of degradation, clipping, quantisation, noise."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_drgn import (
    BATCH,
    LOW,
    PHOTO,
    REFERENCE,
    STAGE_1,
    STAGE_2,
    method,
    one_step,
    outputs_of,
    quick,
    start,
)

from ultrabm_jax.errors import UserError
from ultrabm_jax.methods.drgn_synthesis import clip, quantise


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
    gradient = jax.grad(lambda x: quantise(x, bits=8).sum())(jnp.array([0.1, 0.7]))
    np.testing.assert_array_equal(gradient, [1, 1])


@pytest.mark.parametrize(
    ("kind", "low", "gradient"),
    [("inward", 1.0, 1.0), ("straight", 1.0, 1.0), ("hard", 1.0, 0.0), ("none", 1.5, 1.0)],
)
def test_clipping_of_synthetic_images(kind, low, gradient):
    cut = functools.partial(clip, kind=kind)
    assert float(cut(jnp.array(1.5))) == low
    assert float(jax.grad(cut)(1.5)) == gradient
    assert float(jax.grad(cut)(-0.5)) == (gradient if kind != "inward" else 0)  # descent would leave the range
    assert float(cut(jnp.array(0.5))) == 0.5


def test_without_photos_other_scenes_come_from_the_batch():
    one = method()
    completed = one.complete({"low": LOW, "reference": REFERENCE})
    np.testing.assert_array_equal(completed["photo"], REFERENCE[::-1])
    np.testing.assert_array_equal(one.complete(BATCH)["photo"], PHOTO)
    with pytest.raises(UserError, match=r"set data\.photos, or data\.batch_size to 2 or more"):
        one.complete({"low": LOW[:1], "reference": REFERENCE[:1]})


def test_noise_of_synthetic_low_images_has_a_strength_for_each_image():
    one = method(**{"synthesis.noise": (0.01, 0.02)})
    many = {"low": np.zeros((64, 16, 16, 3), np.float32)}
    noise = np.asarray(one.augment(jax.random.key(3), many)["noise"])
    strengths = noise.std(axis=(1, 2, 3))
    assert (strengths > 0.009).all()
    assert (strengths < 0.0215).all()
    assert strengths.std() > 0.002
    assert not np.allclose(noise, one.augment(jax.random.key(4), many)["noise"])
    deg, noise = start(STAGE_1).params["deg"], noise[: len(LOW)]
    made, clean = (quick(one.synthesise)(deg, batch) for batch in (BATCH | {"noise": noise}, BATCH))
    np.testing.assert_array_equal(made.degradation, clean.degradation)
    unclipped = np.asarray(clean.degradation) + PHOTO + noise
    np.testing.assert_allclose(made.low_ref, np.clip(unclipped, 0, 1), atol=1e-6)
    assert method().augment(jax.random.key(3), BATCH) == BATCH
    assert "noise" not in method(**{"synthesis.noise": (0.01, 0.02), "model.dl_da": False}).augment(
        jax.random.key(3), BATCH
    )


def test_steps_draw_new_noise():
    noisy = {"synthesis.noise": (0.05, 0.05)}
    _, _, first = one_step(STAGE_1, **noisy)
    _, _, other = one_step(STAGE_1 + 1, **noisy)
    _, _, without = one_step(STAGE_1)
    assert len({metrics["health/low_ref"] for metrics in (first, other, without)}) == 3


def test_without_removal_the_second_phase_restores_the_low_images_themselves():
    settings = {"model.remove_degradation": False, "model.degradation": "exposure"}
    one, state = method(**settings), start(STAGE_2)
    made = quick(one.synthesise)(state.params["deg"], BATCH)
    _, terms = quick(one.refinement_loss)(state.params["reg"], BATCH, deg=state.params["deg"], frozen={})
    reg = {"params": {"reg": state.params["reg"]}}
    for suffix, (low, target) in {"": (LOW, REFERENCE), "_ref": (made.low_ref, PHOTO)}.items():
        restored = np.asarray(one.model.apply(reg, low, method="refine"), np.float64)
        assert float(terms[f"con{suffix}"]) == pytest.approx(np.sqrt((restored - target) ** 2 + 1e-6).mean(), rel=1e-4)
