"""DRGN's configs: every one builds, invalid values are refused, the paper's schedule, discriminators."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_drgn import (
    RNG,
    TINY,
    config,
    method,
    quick,
)

from ultrabm_jax.errors import UserError
from ultrabm_jax.methods import create_method

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


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({"loss.gan": "wgan"}, "unknown loss.gan 'wgan'; known: nonsaturating, minimax, charbonnier"),
        ({"loss.kl": "js"}, "unknown loss.kl 'js'; known: softmax, gaussian, histogram"),
        ({"loss.perceptual": "vgg11"}, "unknown loss.perceptual 'vgg11'; known: vgg16, vgg19"),
        ({"synthesis.bits": 17}, "synthesis.bits=17 must be 0 to 16"),
        ({"synthesis.noise": (0.2, 0.1)}, r"synthesis.noise=\(0.2, 0.1\) must be two numbers from 0 to 1"),
        ({"loss.adv_low_gamma": 0.0}, "loss.adv_low_gamma=0.0 must be above 0 and at most 1"),
        ({"synthesis.clip": "soft"}, "unknown synthesis.clip 'soft'; known: inward, straight, hard, none"),
        ({"discriminator.kind": "unet"}, "unknown discriminator.kind 'unet'; known: srgan, atmfn"),
        ({"discriminator.norm": "batch"}, "unknown discriminator.norm 'batch'; known: group, none"),
    ],
)
def test_invalid_values_are_refused_with_the_valid_ones(field, message):
    with pytest.raises(UserError, match=message):
        method(**field)


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
