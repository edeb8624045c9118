"""Every field that a run can set, with its unit and default. Experiment files (configs/*.py) start here.

    default_config()             UltraBM x2 on paired folders, with VGG-16 in place of the paper's HRNet-W48 and VGG-19
    default_config("red")        the sections of another model, with the training recipe of its paper

Override any field on the command line: `--config.train.steps=1000`. An unknown field is an error that lists the known
ones. Sizes are pixels, times are optimiser steps, images are [0, 1].

    data.py                      config.data
    run.py                       config.train, eval, checkpoint, mesh, distributed
    ultrabm.py, red.py, ...      config.model, loss and other sections of one paper, and its training recipe
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from ml_collections import ConfigDict

from ultrabm_jax.config import data, drgn, lolisrflow, red, run, ultrabm
from ultrabm_jax.errors import UserError

__all__ = ["CONFIGS", "ModelConfig", "default_config", "sections"]


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """What a model adds to a config."""

    sections: Callable[[], dict[str, ConfigDict]]  # "model", "loss" and any others
    recipe: Callable[[ConfigDict], None] = lambda config: None  # changes the general sections in place


CONFIGS: dict[str, ModelConfig] = {
    "ultrabm": ModelConfig(ultrabm.sections),
    "red": ModelConfig(red.sections, red.recipe),
    "drgn": ModelConfig(drgn.sections, drgn.recipe),
    "lw_drgn": ModelConfig(drgn.light_sections, drgn.recipe),
    "lolisrflow": ModelConfig(lolisrflow.sections, lolisrflow.recipe),
}


def default_config(model: str = "ultrabm") -> ConfigDict:
    """All fields for the named model, with the training recipe of its paper.

    Raises UserError for a model without defaults.
    """
    if model not in CONFIGS:
        raise UserError(f"no default config for model {model!r}; known: {', '.join(CONFIGS)}")
    config = ConfigDict(sections(model))
    CONFIGS[model].recipe(config)
    return config


def sections(model: str) -> dict[str, ConfigDict | int]:
    """All sections and fields by name, without the training recipe; without the model's own if it is not known."""
    general: dict[str, ConfigDict | int] = {
        "seed": 100,  # all randomness of a run; the released UltraIS training uses 100
        "data": data.data(),
        "train": run.train(),
        "eval": run.evaluation(),
        "checkpoint": run.checkpoint(),
        "mesh": run.mesh(),
        "distributed": run.distributed(),
        "log_every": 50,  # steps between lines of the log
    }
    return general | (CONFIGS[model].sections() if model in CONFIGS else {})
