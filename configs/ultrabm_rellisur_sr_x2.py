"""Super-resolution x2 of normal-light images, the second part of the sequential baselines in UltraBM's Table 2 and
RELLISUR's Table 7: UltraBM with one stream (its Table 4), which has no illumination, on RELLISUR's X1 and X2 images.

    python train.py --config configs/ultrabm_rellisur_sr_x2.py --workdir runs/sr_x2 --config.data.root=RELLISUR

The cascade with an enhancer, such as a run of lw_drgn_rellisur_x1.py, is a method of every evaluation:

    python eval.py --config configs/ultrabm_rellisur_x2.py --output OUT --config.data.root=RELLISUR \
        --config.eval.baselines="('runs/enhance_x1=>runs/sr_x2','zero_dce=>runs/sr_x2','zero_dce=>bicubic')"

The papers' cascades use other networks (MIRNet, HAT, ESRGAN, ...), so the numbers cannot be compared. x4:
`--config.model.scale=4`. Hardware: one GPU with 24 GB or more. Not run.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from ultrabm_jax.config import default_config

# Those of ultrabm_rellisur_x2.py: iterations in thousands, batch, patch.
STAGES = ((46, 8, 128), (32, 5, 160), (24, 4, 192), (18, 2, 256), (18, 1, 320), (12, 1, 384))


def get_config() -> ConfigDict:
    """All fields of the run."""
    config = default_config()
    config.model.stream = "one"
    config.data.update({"dataset": "rellisur_sr", "batch_size": 8, "patch_size": 128})
    config.train.stages = STAGES
    config.train.mixup_probability = 0.0
    return config
