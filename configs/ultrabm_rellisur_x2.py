"""UltraBM x2 on RELLISUR, the paper's data set (its Tables 1 and 3 to 6), with these differences from the paper:
VGG-16 as semantic extractor and perceptual network.

    python train.py --config configs/ultrabm_rellisur_x2.py --workdir runs/rellisur_x2 --config.data.root=RELLISUR

Hardware: one GPU with 24 GB or more, or several GPUs whose number divides the batch of every stage.
RELLISUR test, psnr_rgb / ssim_rgb / lpips_alex: paper 22.264 / .743 / .254; not run here.
The paper's networks are set by `--config.model.semantic=hrnet_w48 --config.loss.perceptual=vgg19`: VGG-19 is downloaded
on first use, HRNet-W48 must be downloaded manually. VGG-16 is installed with the requirements.
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
    return config
