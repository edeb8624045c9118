"""RED: sections model and loss, its authors' training recipe, and presets.

What each preset changes, and where it still differs from its source: configs/red_sid_sony.py.
"""

from __future__ import annotations

from collections.abc import Mapping

from ml_collections import ConfigDict

PRESETS: Mapping[str, Mapping[str, object]] = {
    "paper": {
        "model.variant": "paper",
        "model.hse_reduction": "one",
        "model.xtrans": "mosaic",
        "loss.lambda_r": 0.8,
        "data.bayer_aug": "flips",
        "data.patch_size": 512,
        "eval.amplify": ("ratio", "paper"),
    },
    "code": {"model.variant": "code", "loss.lambda_r": 1.0, "data.bayer_aug": "raw"},
}


def model() -> ConfigDict:
    """config.model."""
    return ConfigDict(
        {
            "name": "red",
            "scale": 1,  # output to input
            "variant": "code",  # code (released weights) | paper: which one to follow where the two disagree
            "hse_reduction": "two",  # convolutions from 1024 to 64 channels: two (released code) | one (section 3.1.2)
            "rdb": "star",  # star | canonical (the ablation of section 4.6)
            "xtrans": "mosaic",  # mosaic: the Bayer network for every sensor | pack9: nine channels for X-Trans
            "weight_norm": True,  # while training; folded into the kernels for inference
            "icnr": False,  # initialise convolutions before pixel shuffles as nearest-neighbour resizing
            "clip_input": False,  # clip the amplified mosaic at 1, as SID does and RED does not
            "clip_in_train": True,  # restored values outside [0, 1] get no gradient, as released
            "dtype": "float32",  # float32 | bfloat16: compute type; parameters are always float32
        }
    )


def loss() -> ConfigDict:
    """config.loss: the released code's weights; the paper's lambda_r is 0.8."""
    return ConfigDict(
        {
            "lambda_r": 1.0,  # L1
            "lambda_ms": 0.2,  # 1 - MS-SSIM at five scales; 0 for patches below 161 pixels
        }
    )


def sections() -> dict[str, ConfigDict]:
    """The sections of a config that belong to RED."""
    return {"model": model(), "loss": loss()}


def recipe(config: ConfigDict) -> None:
    """Sets how the authors train: a million steps on SID."""
    config.data.update({"dataset": "sid_sony", "batch_size": 8, "patch_size": 512})
    config.data.holdout = (0.1, 0.0)  # only where the list of validation images is missing
    config.train.update(
        {
            "steps": 1_000_000,
            "learning_rate": 1e-4,
            "cycles": ((500, 1e-4, 1e-4), (500, 1e-5, 1e-5)),
            "optimizer": "adam",
            "weight_decay": 0.0,
            "grad_clip": 0.0,
            "mixup_probability": 0.0,
        }
    )
