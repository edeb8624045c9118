"""How an evaluation's checkpoint was chosen, in words, and a warning if the measured images chose it."""

from __future__ import annotations

from ultrabm_jax.report.summary import Summary

UNKNOWN = "it is not recorded which images chose it"


def describe_checkpoint(summary: Summary) -> str | None:
    """ "step 4,000, best psnr_rgb on lol val (45 images)"; None if no trained model was measured."""
    step, selection = summary.get("step"), summary.get("selection")
    if step is None:
        return None
    return f"step {step:,}, {UNKNOWN if selection is None else selection['reason']}"


def selection_warning(summary: Summary) -> str | None:
    """A sentence if the measured images chose the checkpoint or may have chosen it; otherwise None."""
    if summary.get("step") is None:
        return None
    selection = summary.get("selection")
    if selection is None:
        return f"{UNKNOWN[0].upper()}{UNKNOWN[1:]}; earlier releases chose the best checkpoint on the test images."
    if selection["on_measured_images"]:
        return "The measured images chose the checkpoint, so its results on them are too good."
    return None
