"""Table 1, "w/o MSR": drgn_lol.py without multi-scale representation.

    python train.py --config configs/drgn_lol_no_msr.py --workdir runs/drgn_lol_no_msr --config.data.root=LOL \
        --config.data.photos=R

Hardware: one GPU. Not run. The paper's row, on LOL1000: PSNR 19.32 dB, SSIM .874, FSIM .910.
With all parts: 19.88 dB, .889, .916.

Of "similar computational complexity": ten RCABs at full size, 110.43 G multiply-adds for one generator (all scales:
110.59 G) and a third of the parameters.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from ultrabm_jax.config import default_config


def get_config() -> ConfigDict:
    """All fields of the run."""
    config = default_config("drgn")
    config.model.update({"groups": (2,), "depths": (5,)})
    return config
