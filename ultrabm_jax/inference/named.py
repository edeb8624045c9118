"""Models by name: those that the package contains, those that their authors released, and formulas without weights.

NAME         contained in the package (ultrabm_jax/pretrained)
red, zero_dce, sci_easy, sci_medium (or sci), sci_difficult
             released weights of the asset store (storage/assets.py), which are downloaded on first use
FILE.safetensors, FILE.pth
             written by `ultrabm-jax export`, with FILE.json beside it (inference/described.py)
gamma, equalised, clahe
             formulas (image/tone_mapping.py)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.image.tone_mapping import clahe, equalised, gamma
from ultrabm_jax.inference.described import is_weight_file, load_described
from ultrabm_jax.inference.pretrained import load_pretrained_run
from ultrabm_jax.logging import logger
from ultrabm_jax.models import create_task
from ultrabm_jax.models.task import Task
from ultrabm_jax.pretrained import list_pretrained
from ultrabm_jax.storage.asset_table import ASSETS
from ultrabm_jax.storage.assets import asset_path, find_asset
from ultrabm_jax.typing import Variables
from ultrabm_jax.weights import from_torch, load_torch, release_options

Formula = Callable[[np.ndarray], np.ndarray]  # float32 (h, w, 3) in [0, 1] -> the same size

FORMULAS: Mapping[str, Formula] = {"gamma": gamma, "equalised": equalised, "clahe": clahe}
# Released weights, which are assets of these names: the network that they belong to.
RELEASED: Mapping[str, str] = {
    "red": "red",
    "zero_dce": "zero_dce",
    "sci_easy": "sci",
    "sci_medium": "sci",
    "sci_difficult": "sci",
}
ALIASES: Mapping[str, str] = {"sci": "sci_medium"}  # the variant that its authors show first
RAW_MODEL = "red"  # restores camera raw files when no model is named


def load_named(name: str, *, assets: str = "") -> tuple[Task, Variables]:
    """The network of a contained or released model, and its variables; logs the licence of released weights.

    assets: folder of weight files, searched first.
    Raises UserError for an unknown name, MissingAsset for weights that are not available.
    """
    if name in list_pretrained():
        run = load_pretrained_run(name)
        return run.task, run.variables
    if is_weight_file(name):
        return load_described(Path(name))
    released = ALIASES.get(name, name)
    if released in RELEASED:
        return load_released(released, assets=assets)
    if name in FORMULAS:
        raise UserError(f"{name} has no weights: call ultrabm_jax.image.tone_mapping.{name}")
    raise UserError(f"unknown model {name!r}; {known_models(name)}")


def is_named(name: str) -> bool:
    """Whether a name means contained or released weights or a formula."""
    return name in (*list_pretrained(), *RELEASED, *ALIASES, *FORMULAS)


def load_released(name: str, *, assets: str = "") -> tuple[Task, Variables]:
    """The network of released weights, and its variables. `name` is a key of `RELEASED`."""
    path = find_asset(name, folder=assets or None)
    if path is None:
        path = asset_path(name, folder=assets or None)  # logs the licence when it downloads
    else:
        logger.info(f"{name}: weights of {path}, licence: {ASSETS[name].licence}")
    model = RELEASED[name]
    options = release_options(model)
    return create_task(model, **options), from_torch(model, load_torch(path), **options)


def known_models(name: str) -> str:
    """The names of all models for an error message about `name`, and those that are similar."""
    known = [*list_pretrained(), *RELEASED, *ALIASES, *FORMULAS]
    similar = get_close_matches(name, known, n=2)
    hint = f"did you mean {' or '.join(similar)}? " if similar else ""
    return f"{hint}known: {', '.join(known)}"
