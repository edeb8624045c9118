"""LW-DRGN for photos on a mixture of data sets, for a CPU.

The bundled model `lw_drgn_photo` was trained by this command from the `lw_drgn_lol` of that time, which had input maps,
and then with night photos and a perceptual loss (its card). Hardware: a CPU core, about 40 minutes. Expected psnr_rgb /
ssim_rgb / lpips_alex after this command: 21.43 / .784 / .220 on 14 exposure pairs, 17.85 / .763 / .239 on LOL eval15
(docs/log/training-runs.md).

    python -m input_pipeline.darken PHOTOS --output DARK --scale 1 --pairs
    python train.py --config configs/lw_drgn_photo_small.py --workdir runs/lw_drgn_photo --config.data.records=RECORDS \
        --config.train.init_from=lw_drgn_photo --config.data.mixture="(
            ('lol/v1_scenes', 0.4),
            ('paired:PAIRS', 0.35, {'holdout': (0.1, 0.1)}),
            ('paired:DARK', 0.25, {'holdout': (0.0, 0.0)}))" \
        --config.data.eval_members="('lol/v1_scenes', 'PAIRS')"

RECORDS holds lol/v1_scenes (docs/data.md), PAIRS pairs of outdoor scenes, such as exposure pairs made from SICE, and
PHOTOS clean photos, such as Kodak and BSDS. An evaluation member is named after the last part of its folder. The scenes
that lol/v1_scenes and `holdout` keep aside choose the checkpoint. The recipe is `direct_recipe`
(ultrabm_jax/config/drgn.py) with larger patches and fewer steps. Dark photos are written before training, because
`model.input_maps` needs the equalised whole image.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from ultrabm_jax.config import default_config, direct_recipe


def get_config() -> ConfigDict:
    """All fields of the run."""
    config = default_config("lw_drgn")
    direct_recipe(config)
    config.data.update({"batch_size": 2, "patch_size": 96})
    config.train.update({"steps": 1600, "learning_rate": 7e-4, "stages": ((10, 2, 96), (10, 1, 160))})
    config.eval.every = 400
    config.checkpoint.every = 200
    return config
