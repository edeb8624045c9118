"""UltraBM x2 on RELLISUR, the paper's data set (its Tables 1 and 3 to 6), with these differences from the paper:
VGG-16 as semantic extractor and perceptual network.

    python train.py --config configs/ultrabm_rellisur_x2.py --workdir runs/rellisur_x2 --config.data.root=RELLISUR

Hardware: one GPU with 24 GB or more, or several GPUs whose number divides the batch of every stage.
RELLISUR test, psnr_rgb / ssim_rgb / lpips_alex: paper 22.264 / .743 / .254; not run here.

`--config.preset=paper` trains the method as printed. It changes

    model.semantic = hrnet_w48, loss.perceptual = vgg19     (shipped: VGG-16, which is installed with the requirements;
                                                            VGG-19 is downloaded on first use, HRNet-W48 by hand)
    model.heads = 1                  attention over C x C channels, text before equation 2       (code: 2)
    model.query = depthwise          "layer normalization and depth-wise convolution"            (code: dense)
    model.rsmu_branches = three      i in {1, 2, 4}, equation 5, at x2 too                       (code: {1, 2} at x2)
    model.rsmu_down = transposed     "transposed convolution down-sampling", equation 5          (code: strided 1x1)
    train.optimizer = adam_l2        "Adam", weight decay 1e-4                                   (code: AdamW)

What remains different from the text with this preset, or was chosen where the text is silent or contradicts itself:

- Equation 3 calls S a sigmoid and x element-wise; softmax and matrix product, as in the text below it and the figure.
  Equation 2 has LN(Conv(.)); convolutions follow LN here, as in the text. Queries and keys are L2-normalised and scaled
  by a learned temperature, as in Restormer, which the paper cites.
- "Transposed convolution down-sampling": a 3x3 convolution with stride 2 for each halving (models/ultrabm/rsmu.py). The
  text does not say how branch 4 reaches a final size of x2: by the same layer.
- x / max(u, 1e-4) in equation 1, to avoid a division by zero. L_SL is summed over the three channels.
- From the released code, because the text does not state them: width 64, the layers of the context units, stages,
  patches (below) and the two cosine cycles, clipping of the gradient at 0.01, mixup, flips and rotations, the last
  LeakyReLU.
- RELLISUR: the text has 1,045 pairs, five levels from -2.5 to -5.0 EV;
  the data set is used as published (docs/data.md).
- The preset has 69,976,173 parameters at x2 and 70,013,037 at x4 (Table 3: 69.561 and 69.687 M, which are the released
  network's without RSMU's idle layers), and 79.52 G multiply-adds at 128x128 in its own convolutions (Table 3: 31.497).

`--config.preset=ultrais` follows the released code instead: model.compat=ultrais with HRNet-W48 and VGG-19. Its option
file for x2 has loss.lambda_p=0.01, the one for x4 the paper's 1.2; the preset has 1.2.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from ultrabm_jax.config import default_config

# Released UltraIS options: iterations in thousands, batch, low-resolution patch.
STAGES = ((46, 8, 128), (32, 5, 160), (24, 4, 192), (18, 2, 256), (18, 1, 320), (12, 1, 384))


def get_config() -> ConfigDict:
    """All fields of the run."""
    config = default_config()
    config.data.update({"dataset": "rellisur", "batch_size": 8, "patch_size": 128})
    config.train.stages = STAGES
    config.eval.protocols = (*config.eval.protocols, "niqe_gray", "loe_up", "loe_ref", "brisque")
    return config
