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
from ultrabm_jax.inference.named import ALIASES, FORMULAS, RELEASED, load_released
from ultrabm_jax.inference.pretrained import load_pretrained_run
from ultrabm_jax.inference.restorer import Restorer
from ultrabm_jax.inference.runs import Run, load_trained
from ultrabm_jax.pretrained import list_pretrained

Baseline = Callable[[np.ndarray], np.ndarray]

ARROW = "=>"
RELEASED_ENHANCERS = tuple(name for name, model in RELEASED.items() if model != "red")  # RED restores raw files
# Baselines that need neither an asset nor a training run.
DEFAULT_BASELINES = ("bicubic", *(f"{name}{ARROW}bicubic" for name in FORMULAS))


def make_baseline(name: str, *, scale: int, assets: str = "") -> Baseline:
    """The named method: low float32 (h, w, 3) in [0, 1] -> float32 (s*h, s*w, 3) in [0, 1].

    `assets`: folder of weight files, searched first.

    Raises UserError for an unknown name, MissingAsset for weights that are not available.
    """
    if name == "bicubic":
        return _bicubic(scale)
    if name in list_pretrained():
        return _checked_restorer(load_pretrained_run(name), name, name, scale)
    enhancer, arrow, enlarger = name.partition(ARROW)
    enhance = _make_enhancer(enhancer, name, assets)
    enlarge = _bicubic(scale) if not arrow or enlarger == "bicubic" else _load_enlarger(enlarger, name, scale)
    return lambda low: enlarge(enhance(low))


def _bicubic(scale: int) -> Baseline:
    return lambda low: resize(low, (low.shape[0] * scale, low.shape[1] * scale))


def _make_enhancer(enhancer: str, name: str, assets: str) -> Baseline:
    if enhancer in FORMULAS:
        return FORMULAS[enhancer]
    enhancer = ALIASES.get(enhancer, enhancer)
    if enhancer not in RELEASED_ENHANCERS:
        known = ", ".join([*FORMULAS, *RELEASED_ENHANCERS])
        raise UserError(f"unknown method {name!r}; known: bicubic, ENHANCER or ENHANCER=>WORKDIR with one of {known}")
    return Restorer(*load_released(enhancer, assets=assets), exact=True)


def _load_enlarger(workdir: str, name: str, scale: int) -> Baseline:
    if workdir in list_pretrained():
        return _checked_restorer(load_pretrained_run(workdir), workdir, name, scale)
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
    restorer = Restorer(run.task, run.variables, exact=True)
    if restorer.scale != scale:
        raise UserError(f"{name!r}: {source} enlarges by {restorer.scale}, but the comparison is at scale {scale}")
    return restorer
