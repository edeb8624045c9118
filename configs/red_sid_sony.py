"""RED on SID's Sony subset, as its authors trained it: ARW files or their records in, sRGB out.

    python train.py --config configs/red_sid_sony.py --workdir runs/red_sony --config.data.root=SID

SID's own protocol: `--config.data.bursts=first` and `--config.data.leave_out="('10034','10045','10172')"`, the test
scenes with a misaligned reference. Other cameras (the paper's Table 3): `--config.data.dataset=eld_nikon` and
`--config.data.root=ELD` of eval.py. Several m (Figure 5): `--config.eval.amplify=paper:0.1,paper:0.5,paper:1`.

data.root holds Sony/ and the lists Sony_train_list.txt, ...; better, prepare records first (docs/data.md): decoding a
reference takes seconds. Hardware: one GPU. Not run here: a million steps. Paper, on the test list with exposure ratios
(its Table 1): PSNR 28.66 dB, SSIM 0.790.

The values are those of the released code, with flips that keep the colour phase. `--config.preset=paper` trains the
method as printed. It changes

    model.variant = paper            7x7 kernel in LSE, five layers in each RDB*, slope 0.2 before the last of them;
                                     HSE's groups see all colours                    (code: 5x5; 4, 5, 5; slope 1; one)
    model.hse_reduction = one        one grouped convolution from 1024 to 64 channels, section 3.1.2, equation 2 (two)
    loss.lambda_r = 0.8              L1; MS-SSIM has 0.2 in both                                                   (1)
    eval.amplify = ratio, paper      equations 5 to 7 with m = 0.5 in place of the code's amplifier
    data.patch_size = 512, data.bayer_aug = flips, model.xtrans = mosaic: the shipped values of this config

What remains different from the text with this preset, or was chosen where the text is silent:

- FB2's 5x5 kernel, the 1x1 fusion of the RDB* and its skip connection are from the released code.
- Equation 6 is read with b_0 = 0 and b_k = 2^(8k/n) / 2^8 (ultrabm_jax/raw/amplification.py).
- Flips keep the phase of the filter array; flipping the mosaic itself, as the release does (`data.bayer_aug=raw`),
  exchanges its colours. Restored values outside [0, 1] get no gradient (`model.clip_in_train`, as released).
- 769,312 parameters with the gains of weight normalisation, 768,072 without; 62.87 G multiply-adds for 2848x4256 and
  126.5 G for 4032x6032. Table 1 (0.78 M, 59.8 G, 119.03 G) has the released network: 784,768 and 59.58 G.

`--config.preset=code` has the released code's flips as well.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from ultrabm_jax.config import default_config


def get_config() -> ConfigDict:
    """All fields of the run."""
    config = default_config("red")
    return config
