"""What is checked about all stages of a run before its first step."""

import re

import pytest

from ultrabm_jax.config import default_config
from ultrabm_jax.errors import UserError
from ultrabm_jax.methods import create_method
from ultrabm_jax.stages import progressive_stages
from ultrabm_jax.training.plan import check_batches, check_sides


def check(model, *, patches, **overrides):
    config = default_config(model)
    config.update_from_flattened_dict(overrides)
    stages = progressive_stages([(1, 2, patch) for patch in patches], steps=100, batch_size=2, patch_size=patches[0])
    check_sides(stages, create_method(config))


def test_patches_too_small_for_ms_ssim_are_refused_with_the_size():
    message = (
        "data.patch_size: patches of 160 are restored to 160 pixels a side, but the loss of loss.lambda_ms needs 161; "
        "take patches of 161 or more, or set loss.lambda_ms=0"
    )
    with pytest.raises(UserError, match=re.escape(message)):
        check("red", patches=(192, 160))
    check("red", patches=(192, 176))
    check("red", patches=(32,), **{"loss.lambda_ms": 0.0})


def test_patches_too_small_for_ssim_are_refused():
    with pytest.raises(UserError, match=r"patches of 8 .* loss\.lambda_ssim needs 11"):
        check("lw_drgn", patches=(8,))
    check("lw_drgn", patches=(16,))
    check("lw_drgn", patches=(8,), **{"loss.lambda_ssim": 0.0, "loss.lambda_ssim_ref": 0.0})


def test_batches_of_one_are_refused_before_the_first_step_if_drgn_has_no_photos():
    config = default_config("lw_drgn")
    config.train.update({"steps": 8, "stages": ((2, 4, 64), (1, 2, 64), (1, 1, 64))})
    config.data.update({"batch_size": 4, "patch_size": 64})
    sizes = {"batch_size": 4, "patch_size": 64}
    stages = progressive_stages(config.train.stages, steps=config.train.steps, **sizes)
    with pytest.raises(
        UserError, match=r"^stage 3 \(steps 6 to 8\) has batches of 1, but lw_drgn needs 2, .* data\.photos"
    ):
        check_batches(stages, create_method(config))
    config.data.photos = "PHOTOS"
    check_batches(stages, create_method(config))


def test_a_stage_is_described_with_its_own_batch_and_patch():
    first, second = progressive_stages([(3, 4, 64), (1, 2, 96)], steps=100, batch_size=8, patch_size=32)
    assert str(first) == "75 steps with batches of 8 and patches of 32"
    assert str(second) == "25 steps with batches of 4 and patches of 48"
