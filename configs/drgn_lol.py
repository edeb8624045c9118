"""DRGN on LOL v1 as the paper trains it: DeG for 20 epochs, then ReG for 40.

    python train.py --config configs/drgn_lol.py --workdir runs/drgn_lol --config.data.root=LOL --config.data.photos=R

R: a folder of well-lit photos of other scenes, such as DIV2K or COCO (the paper uses "a high-quality reference
dataset"). Without it, the other references of the batch are used. Hardware: one GPU; `--config.data.loader=in_memory`
keeps it busy. Not run; the paper has no number on LOL's own test images. LW-DRGN was run: lw_drgn_lol_small.py.

An epoch is 720 steps: 480 images of 4x6 patches of 96 at 600x400, 16 a step. The paper trains on 480 of LOL's 500
pairs and does not say which; LOL's own split, the default here, has 485 and 15. A tenth of the 485, in whole scenes,
chooses the checkpoint; `--config.data.holdout="(0.0, 0.0)"` trains on all of them and uses the last checkpoint.
`--config.data.dataset=lol_drgn` (records: `lol/v1_drgn`) has 480 and 20 pairs, chosen by us.

Eight fields differ from the paper or from its sources; `--config.preset=paper` sets them as printed. With
alpha = 1e-5, weight 1 of the KL term and normalised discriminators, the first gradient of the KL term is about
2,000 times that of D_low, and within 100 steps a small DeG collapsed to I_D = 0, whose KL is zero;
docs/log/training-runs.md has this and the other collapses. Ours were tried with LW-DRGN, not with the full DRGN.

| field                   | shipped       | preset=paper | source                                                    |
|-------------------------|---------------|--------------|-----------------------------------------------------------|
| `loss.lambda_adv_low`   | 1             | 1e-5         | alpha, text before equation 7                             |
| `loss.lambda_kl`        | 1e-2          | 1            | equation 7                                                |
| `loss.gan`              | nonsaturating | minimax      | equations 5 and 6, with the opposite sign for DeG         |
| `synthesis.clip`        | inward        | none         | section 2.3: I_D + I_ref                                  |
| `discriminator.norm`    | none          | group        | Ledig et al., whom the paper cites (they have batch norm) |
| `model.deg_gain`        | 0.1           | 1            | no initial scaling of I_D is mentioned                    |
| `train.grad_clip`       | 1             | 0 (off)      | no clipping is mentioned                                  |
| `data.holdout`          | (0.1, 0.0)    | (0.0, 0.0)   | all training pairs train; the last checkpoint is used     |

`--config.preset=exposure` is ours, tried with LW-DRGN: I_D is one log exposure, learned from the low images and their
references; synthetic low images get noise, and ReG restores I_L itself, so that DeG only makes synthetic pairs.
These match the real ones in histogram and noise, and refinement gains from them (docs/results.md).

What remains different from the text with the preset "paper", or was chosen where the text is silent: equation 7 read
literally would let DeG help its discriminators; the discriminators' layers, the distribution p of the KL term (softmax
over positions), the width 64, activations, the Gaussian kernel of the pyramid, the zooms of "scaling"; which pairs are
trained on (485, or our choice of 480); the reference set. Parameters and multiply-adds are the paper's (Table 2):
models/drgn/network.py.

Points that the paper leaves open are fields, with their alternatives in ultrabm_jax/config/drgn.py; see also
methods/drgn.py and models/drgn/network.py.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from ultrabm_jax.config import default_config


def get_config() -> ConfigDict:
    """All fields of the run."""
    config = default_config("drgn")
    return config
