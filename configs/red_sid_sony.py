"""RED on SID's Sony subset, as its authors trained it: ARW files or their records in, sRGB out.

    python train.py --config configs/red_sid_sony.py --workdir runs/red_sony --config.data.root=SID

data.root holds Sony/ and the lists Sony_train_list.txt, ...; better, prepare records first (docs/data.md): decoding
a reference takes seconds. Hardware: one GPU. Not run here: a million steps. To expect on the test list with exposure
ratios (the paper's Table 1): PSNR 28.66 dB, SSIM 0.790.

Released code's values; the paper's: loss.lambda_r=0.8, model.variant=paper. data.bayer_aug=raw flips the mosaic as
the release does, which exchanges its colours.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from ultrabm_jax.config import default_config


def get_config() -> ConfigDict:
    config = default_config()
    config.model = model()
    config.loss = ConfigDict(
        {
            "lambda_r": 1.0,  # L1
            "lambda_ms": 0.2,  # 1 - MS-SSIM at five scales; 0 for patches below 161 pixels
        }
    )
    config.data.update({"dataset": "sid_sony", "batch_size": 8, "patch_size": 512})
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
    return config


def model() -> ConfigDict:
    """All fields of config.model for RED, in place of those of base.py."""
    return ConfigDict(
        {
            "name": "red",
            "scale": 1,  # output to input
            "variant": "code",  # code (released weights) | paper: which one to follow where they disagree
            "rdb": "star",  # star | canonical (the ablation of section 4.6)
            "xtrans": "mosaic",  # mosaic: the Bayer network for every sensor | pack9: nine channels for X-Trans
            "weight_norm": True,  # while training; folded away for use
            "icnr": False,  # convolutions before pixel shuffles start as nearest-neighbour resizing
            "clip_input": False,  # cut the amplified mosaic at 1, as SID does and RED does not
            "clip_in_train": True,  # restored values beyond [0, 1] get no gradient, as released
            "dtype": "float32",  # float32 | bfloat16: compute type; parameters are always float32
        }
    )
