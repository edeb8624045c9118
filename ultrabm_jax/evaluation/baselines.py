"""Baselines by name, as in the papers' tables (UltraBM's Table 2).

    bicubic               the dark input, enlarged; at scale 1 the input itself
    ENHANCER=>bicubic     an image brightened at its own size, then enlarged
    ENHANCER=>WORKDIR     brightened, then restored by a training run of this library (its best checkpoint)
    ENHANCER=>PRETRAINED  brightened, then restored by a bundled model (ultrabm_jax.list_pretrained)
    ENHANCER              short for ENHANCER=>bicubic
    PRETRAINED            a bundled model of the comparison's scale

ENHANCER: gamma, equalised, clahe (image/tone_mapping.py), and the released zero_dce, sci_easy, sci_medium (or sci),
sci_difficult, whose weights come from the asset store. Bicubic is Keys' with a = -0.5 (Pillow). Between the two parts
of a cascade, values stay floats; the papers' cascades used 8-bit files.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.image.resize import resize
from ultrabm_jax.image.tone_mapping import clahe, equalised, gamma
from ultrabm_jax.inference.pretrained import load_pretrained
from ultrabm_jax.inference.restorer import Restorer
from ultrabm_jax.inference.runs import Run, load_trained
from ultrabm_jax.models import create_task
from ultrabm_jax.pretrained import list_pretrained
from ultrabm_jax.storage.assets import asset_path
from ultrabm_jax.weights import from_torch, load_torch, release_options

Baseline = Callable[[np.ndarray], np.ndarray]

ARROW = "=>"
TONES: dict[str, Baseline] = {"gamma": gamma, "equalised": equalised, "clahe": clahe}
# asset: the model that it belongs to
ALIASES = {"sci": "sci_medium"}  # the variant that its authors show first
RELEASED = {"zero_dce": "zero_dce", "sci_easy": "sci", "sci_medium": "sci", "sci_difficult": "sci"}
# Baselines that need neither an asset nor a training run.
DEFAULT_BASELINES = ("bicubic", *(f"{name}{ARROW}bicubic" for name in TONES))


def make_baseline(name: str, *, scale: int, assets: str = "") -> Baseline:
    """The named method: low float32 (h, w, 3) in [0, 1] -> float32 (s*h, s*w, 3) in [0, 1].

    `assets`: folder of weight files, searched first.

    Raises UserError for an unknown name, MissingAsset for weights that are not available.
    """
    if name == "bicubic":
        return _bicubic(scale)
    if name in list_pretrained():
        return _checked_restorer(load_pretrained(name), name, name, scale)
    enhancer, arrow, enlarger = name.partition(ARROW)
    enhance = _make_enhancer(enhancer, name, assets)
    enlarge = _bicubic(scale) if not arrow or enlarger == "bicubic" else _load_enlarger(enlarger, name, scale)
    return lambda low: enlarge(enhance(low))


def _bicubic(scale: int) -> Baseline:
    return lambda low: resize(low, (low.shape[0] * scale, low.shape[1] * scale))


def _make_enhancer(enhancer: str, name: str, assets: str) -> Baseline:
    if enhancer in TONES:
        return TONES[enhancer]
    enhancer = ALIASES.get(enhancer, enhancer)
    if enhancer not in RELEASED:
        known = ", ".join([*TONES, *RELEASED])
        raise UserError(f"unknown method {name!r}; known: bicubic, ENHANCER or ENHANCER=>WORKDIR with one of {known}")
    state_dict, model = load_torch(asset_path(enhancer, folder=assets or None)), RELEASED[enhancer]
    options = release_options(model)
    return Restorer(create_task(model, **options), from_torch(model, state_dict, **options))


def _load_enlarger(workdir: str, name: str, scale: int) -> Baseline:
    if workdir in list_pretrained():
        return _checked_restorer(load_pretrained(workdir), workdir, name, scale)
    if not (workdir and Path(workdir).is_dir()):
        raise UserError(
            f"{name!r}: {ARROW} must be followed by bicubic, the folder of a training run or a pretrained model; "
            f"{workdir!r} is none of them"
        )
    return _checked_restorer(load_trained(workdir), workdir, name, scale)


def _checked_restorer(run: Run, source: str, name: str, scale: int) -> Restorer:
    """The restorer of a run that was loaded from `source`. Raises UserError if it cannot be the method `name`."""
    if run.task.input_kind != "rgb":
        raise UserError(f"{name!r}: {source} restores camera raw files, not images")
    restorer = Restorer(run.task, run.variables)
    if restorer.scale != scale:
        raise UserError(f"{name!r}: {source} enlarges by {restorer.scale}, but the comparison is at scale {scale}")
    return restorer
