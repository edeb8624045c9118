"""LW-DRGN on LOL v1: drgn_lol.py with light generators (662,226 parameters in place of 4,773,208).

    python train.py --config configs/lw_drgn_lol.py --workdir runs/lw_drgn_lol --config.data.root=LOL \
        --config.data.photos=R

The paper says only that LW-DRGN has one branch and attention-guided dense fusion; its layers are ours
(models/drgn/generators.py). `--config.preset=paper` sets the fields listed in configs/drgn_lol.py. Hardware: one GPU.
Not run. On a CPU: lw_drgn_lol_small.py.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from ultrabm_jax.config import default_config


def get_config() -> ConfigDict:
    """All fields of the run."""
    config = default_config("lw_drgn")
    return config
