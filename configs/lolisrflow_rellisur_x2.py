"""LoLiSRFlow x2 on RELLISUR, the paper's data set.

    python train.py --config configs/lolisrflow_rellisur_x2.py --workdir runs/flow_x2 --config.data.root=RELLISUR

Hardware: one GPU. Activations are recomputed (`model.remat`); docs/log/benchmarks.md has the memory of each option.
RELLISUR test, psnr_rgb / ssim_rgb: paper 23.40 / .753; not run here. Samples at
temperatures .3 and .7 (LLFlow's and SRFlow's range) are measured beside the restoration.

The paper states the loss and its weight, the augmentation and the data. Optimiser, schedule, batch and patch are
LLFlow's and SRFlow's; our 100,000 steps are between their 40,000 and 200,000. Clipping at a gradient norm of 1 is ours.

`--config.preset=paper` trains the method as printed, as far as a public summary of the paper tells. It changes

    model.order = coupling_first     each step: actnorm, 1x1 convolution, coupling, injector    (LLFlow: injector first)
    model.split = True               "split" beside each squeeze; the colour ratio stays the mean of all parts of z (no)
    loss.l1_ramp = 0                 L = L_nll + 1.5 L_1 from the first step                                      (2 %)
    train.grad_clip = 0              no clipping is mentioned                                                      (1)

What remains ours or LLFlow's with this preset: the layers and widths of the encoder, the two steps without coupling at
each level, dequantisation, the reference's colour ratio in a fifth of the steps, the split before the last level only
after levels 1 and 2, CR(I) with a floor of 1e-3, everything listed above. Parameters: 6,361,909 at x2 and 6,657,333 at
x4; the paper's are not known.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from ultrabm_jax.config import default_config


def get_config() -> ConfigDict:
    """All fields of the run."""
    config = default_config("lolisrflow")
    config.eval.protocols = (*config.eval.protocols, "niqe_gray", "loe_up", "loe_ref", "brisque")
    return config
