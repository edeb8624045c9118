"""What a report says about the choice of the checkpoint."""

from __future__ import annotations

import pytest

from ultrabm_jax.report.selection import describe_checkpoint, selection_warning

SUMMARY = {"model": "ultrabm", "mean": {}, "baselines": {}, "step": 4000}


def selection(on_measured_images):
    return {
        "reason": "best psnr_rgb on lol val (45 images)",
        "evaluation_set": {},
        "on_measured_images": on_measured_images,
    }


def test_checkpoint_chosen_on_validation_images():
    summary = SUMMARY | {"selection": selection(False)}
    assert describe_checkpoint(summary) == "step 4,000, best psnr_rgb on lol val (45 images)"
    assert selection_warning(summary) is None


def test_checkpoint_chosen_on_the_measured_images_is_warned_of():
    assert "The measured images chose the checkpoint" in selection_warning(SUMMARY | {"selection": selection(True)})


def test_evaluations_that_recorded_no_choice_are_warned_of():
    assert describe_checkpoint(SUMMARY) == "step 4,000, it is not recorded which images chose it"
    assert "earlier releases chose the best checkpoint on the test images" in selection_warning(SUMMARY)


@pytest.mark.parametrize("changes", [{"step": None}, {"step": None, "selection": None}])
def test_baselines_have_no_checkpoint(changes):
    assert describe_checkpoint(SUMMARY | changes) is None
    assert selection_warning(SUMMARY | changes) is None
