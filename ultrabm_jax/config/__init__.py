"""Every field that a run can set, with its unit and default. Experiment files (configs/*.py) start here.

    default_config()             UltraBM x2 on paired folders, with VGG-16 in place of the paper's HRNet-W48 and VGG-19
    default_config("red")        the sections of another model, with the training recipe of its paper

    default_config("red", preset="paper")    the same, with the fields that the paper states otherwise

Override any field on the command line: `--config.train.steps=1000`. An unknown field is an error that lists the known
ones. `--config.preset=paper` sets several fields at once; other overrides take precedence over it. Sizes are pixels,
times are optimiser steps, images are [0, 1].

    data.py                      config.data
    run.py                       config.train, eval, checkpoint, mesh, distributed
    ultrabm.py, red.py, ...      config.model, loss and other sections of one paper, its training recipe and presets
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TypeAlias

from ml_collections import ConfigDict

from ultrabm_jax.config import data, drgn, lolisrflow, red, run, ultrabm
from ultrabm_jax.config.drgn import direct_recipe
from ultrabm_jax.errors import UserError

__all__ = [
    "CONFIGS",
    "SHIPPED",
    "ModelConfig",
    "Preset",
    "apply_preset",
    "default_config",
    "direct_recipe",
    "preset_fields",
    "sections",
]

Preset: TypeAlias = Mapping[str, object]  # field such as "train.optimizer" -> its value, of the field's type
SHIPPED = "shipped"  # the preset that changes nothing


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """What a model adds to a config."""

    sections: Callable[[], dict[str, ConfigDict]]  # "model", "loss" and any others
    recipe: Callable[[ConfigDict], None] = lambda config: None  # changes the general sections in place
    presets: Mapping[str, Preset] = dataclasses.field(default_factory=dict)  # beside SHIPPED


CONFIGS: dict[str, ModelConfig] = {
    "ultrabm": ModelConfig(ultrabm.sections, presets=ultrabm.PRESETS),
    "red": ModelConfig(red.sections, red.recipe, red.PRESETS),
    "drgn": ModelConfig(drgn.sections, drgn.recipe, drgn.PRESETS),
    "lw_drgn": ModelConfig(drgn.light_sections, drgn.recipe, drgn.PRESETS),
    "lolisrflow": ModelConfig(lolisrflow.sections, lolisrflow.recipe, lolisrflow.PRESETS),
}


def default_config(model: str = "ultrabm", *, preset: str = SHIPPED) -> ConfigDict:
    """All fields for the named model, with the training recipe of its paper and the fields of `preset`.

    Raises UserError for a model without defaults or an unknown preset.
    """
    if model not in CONFIGS:
        raise UserError(f"no default config for model {model!r}; known: {', '.join(CONFIGS)}")
    config = ConfigDict(sections(model))
    CONFIGS[model].recipe(config)
    apply_preset(config, preset)
    return config


def apply_preset(config: ConfigDict, preset: str) -> None:
    """Sets the fields of a preset of config.model.name in place. Raises UserError for an unknown one."""
    config.update_from_flattened_dict(dict(preset_fields(config.model.name, preset)))
    config.preset = preset


def preset_fields(model: str, preset: str) -> Preset:
    """{field: value} of a preset; none for SHIPPED. Raises UserError for a preset that the model does not have."""
    known = {SHIPPED: {}, **(CONFIGS[model].presets if model in CONFIGS else {})}
    if preset not in known:
        raise UserError(f"unknown preset {preset!r} of {model}; known: {', '.join(known)}")
    return known[preset]


def sections(model: str) -> dict[str, ConfigDict | int | str]:
    """All sections and fields by name, without the training recipe; without the model's own if it is not known."""
    general: dict[str, ConfigDict | int | str] = {
        "preset": SHIPPED,  # shipped | paper (as printed) | ultrais, code (as released): sets other fields
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
