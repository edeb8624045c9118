"""DRGN on LOL v1 as the paper trains it: DeG for 20 epochs, then ReG for 40.

    python train.py --config configs/drgn_lol.py --workdir runs/drgn_lol --config.data.root=LOL --config.data.photos=R

R: a folder of well-lit photos of other scenes, such as DIV2K or COCO (the paper's is "a high-quality reference
dataset"). Without it a patch's reference set is the batch's other references. Hardware: one GPU;
`--config.data.loader=in_memory` keeps it busy. To expect: docs/results.md says what was measured; the paper has no
number on LOL's own test images.

An epoch is 720 steps: 480 images of 4x6 patches of 96 at 600x400, 16 a step. The paper trains on 480 of LOL's 500
pairs and does not say which; LOL's own split, the default here, has 485 and 15. Records (docs/data.md) have both:
`data.dataset=lol/v1_drgn` is 480 and 20, the choice of which is ours.

Five fields are not as the paper has them or as its sources would have them. With alpha = 1e-5, weight 1 of the KL term
and normalised discriminators, the first gradient of the KL term is about 2,000 times D_low's, and within 100 steps a
small DeG produced only I_D = 0, whose KL is zero; docs/log/training-runs.md has this and the other collapses. The
paper's: `--config.loss.lambda_adv_low=1e-5 --config.loss.lambda_kl=1.0 --config.discriminator.norm=group
--config.synthesis.clip=straight --config.train.grad_clip=0.0`. Ours were tried with LW-DRGN, not with the full DRGN.

What the paper leaves open is a field, here with its alternatives; methods/drgn.py and models/drgn/network.py say more.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from ultrabm_jax.config import default_config

STEPS_PER_EPOCH = 720
DEG_EPOCHS, REG_EPOCHS = 20, 40


def get_config() -> ConfigDict:
    config = default_config()
    config.model = model()
    config.loss = loss()
    config.discriminator = discriminator()
    config.synthesis = ConfigDict({"clip": "inward"})  # I_D + I_ref to [0, 1]: inward (a gradient where it leads no
    # further out) | straight (as without) | hard (none where cut) | none
    config.data.update({"dataset": "lol", "batch_size": 16, "patch_size": 96})
    config.data.update({"crop_offsets": "grid", "flips": "horizontal", "zoom": (0.8, 0.9, 1.0, 1.1, 1.2)})
    steps = STEPS_PER_EPOCH * (DEG_EPOCHS + REG_EPOCHS)
    config.train.update(
        {
            "steps": steps,
            "learning_rate": 5e-4,
            "cycles": staircase(steps, every=6000, rate=5e-4, factor=0.9),
            "optimizer": "adam",
            "weight_decay": 0.0,
            "grad_clip": 1.0,  # not the paper's: one step in which D_low is sure slows Adam down for a thousand
            "mixup_probability": 0.0,
        }
    )
    config.train.deg_share = DEG_EPOCHS / (DEG_EPOCHS + REG_EPOCHS)  # of the steps, for stage 1
    config.eval.protocols = ("psnr_rgb", "ssim_rgb", "fsim", "lpips_alex")
    return config


def model() -> ConfigDict:
    """All fields of config.model for DRGN, in place of those of base.py."""
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
            "prelu": 0.25,  # slope at the start: 0.25 (PyTorch) | 0.0 (the authors' MSPFN)
            "init_kind": "xavier",  # xavier (MSPFN) | torch
            "deg_gain": 0.1,  # of DeG's last convolution at the start: the first I_D is small
            "dtype": "float32",  # float32 | bfloat16: compute type; parameters are always float32
            "remat": False,  # compute RCABs again in the backward pass: less memory, slower
        }
    )


def loss() -> ConfigDict:
    """All fields of config.loss for DRGN."""
    return ConfigDict(
        {
            "lambda_adv_low": 1.0,  # alpha of equation 7: DeG against D_low; the paper's is 1e-5, see above
            "lambda_adv_de": 1e-5,  # and against D_de
            "lambda_kl": 1e-2,  # the paper's is 1, see above; 0: without KL (Table 1)
            "lambda_con": 1.0,  # Charbonnier of the real pair, equation 9
            "lambda_con_ref": 1.0,  # and of the synthetic one
            "lambda_ssim": -0.2,  # 0: without SSIM (Table 1)
            "lambda_ssim_ref": -0.2,
            "kl": "softmax",  # of what p is a distribution: softmax over positions | gaussian | histogram of values
            "kl_temperature": 1.0,  # of the softmax
            "gan": "nonsaturating",  # nonsaturating | minimax | charbonnier (ATMFN)
            "epsilon": 1e-3,  # of Charbonnier
        }
    )


def discriminator() -> ConfigDict:
    """Of D_low and D_de; not described in the paper."""
    return ConfigDict(
        {
            "kind": "srgan",  # srgan (Ledig et al., cited for the loss) | atmfn (cited for alpha)
            "width": 64,  # of the first convolutions
            "norm": "none",  # none | group (which hides from D_low how bright an image is)
        }
    )


def staircase(steps: int, *, every: int, rate: float, factor: float) -> tuple[tuple[float, float, float], ...]:
    """`train.cycles` of a rate that falls by `factor` after each `every` steps."""
    starts = range(0, steps, every)
    rates = [rate * factor**k for k in range(len(starts))]
    return tuple((min(every, steps - start), rate, rate) for start, rate in zip(starts, rates, strict=True))
