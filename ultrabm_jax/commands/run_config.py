"""The config of a run as a config file: `--config=ultrabm_jax/commands/run_config.py:WORKDIR`.

train.py and eval.py use it if they are given --workdir without --config.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from ultrabm_jax.buckets import open_path
from ultrabm_jax.config import sections
from ultrabm_jax.training.workdir import read_run_config


def get_config(workdir: str) -> ConfigDict:
    """The config in WORKDIR/config.json; `distributed`, which describes the processes of a start, has its defaults."""
    saved = read_run_config(open_path(workdir))
    config = {name: _tuples(value) for name, value in saved.to_dict().items()}
    return ConfigDict(config | {"distributed": sections(saved.model.name)["distributed"]})


def _tuples(value: object) -> object:
    """`value`, read from JSON, with tuples in place of lists."""
    if isinstance(value, dict):
        return {name: _tuples(part) for name, part in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, (list, tuple)) else value
