"""Baselines by name, as in the papers' tables (UltraBM's Table 2).

    bicubic      the dark input, enlarged; at scale 1 the input itself
    ENHANCER     the input, brightened at its own size
    PRETRAINED   a bundled model (ultrabm_jax.list_pretrained)
    WORKDIR      a training run of this library (its best checkpoint)
    A=>B         a cascade: B restores the output of A; it may have more parts

ENHANCER: gamma, equalised, clahe (image/tone_mapping.py), and the released zero_dce, sci_easy, sci_medium (or sci),
sci_difficult, whose weights come from the asset store.

The scales of the parts multiply to the scale of the comparison. bicubic takes the scale that the other parts leave;
where all parts keep the size, it comes last by default. It is Keys' with a = -0.5 (Pillow). Between the parts of a
cascade, values stay floats; the papers' cascades used 8-bit files.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ultrabm_jax.buckets import open_path
from ultrabm_jax.errors import UserError
from ultrabm_jax.image.resize import resize
from ultrabm_jax.inference.named import ALIASES, FORMULAS, RELEASED, known_models, load_released
from ultrabm_jax.inference.pretrained import load_pretrained_run
from ultrabm_jax.inference.restorer import Restorer
from ultrabm_jax.inference.runs import Run, load_trained
from ultrabm_jax.pretrained import list_pretrained

Baseline = Callable[[np.ndarray], np.ndarray]

ARROW = "=>"
BICUBIC = "bicubic"
RELEASED_ENHANCERS = tuple(name for name, model in RELEASED.items() if model != "red")  # RED restores raw files


class Part(NamedTuple):
    """A part of a cascade: (h, w, 3) -> (scale h, scale w, 3)."""

    apply: Baseline
    scale: int


def make_baseline(name: str, *, scale: int, assets: str = "", run: Run | None = None) -> Baseline:
    """The named method: low float32 (h, w, 3) in [0, 1] -> float32 (s*h, s*w, 3) in [0, 1].

    `assets`: folder of weight files, searched first. `run`: what `load_network(name)` returned, if it was called.

    Raises UserError for an unknown name or scales that do not fit, MissingAsset for weights that are not available.
    """
    names = name.split(ARROW)
    if names.count(BICUBIC) > 1:
        raise UserError(f"{name!r}: bicubic occurs more than once")
    parts = {part: _make_part(part, name, assets, run if part == name else None) for part in names if part != BICUBIC}
    own = math.prod(parts[part].scale for part in names if part != BICUBIC)
    if own == 1 and BICUBIC not in names:
        names.append(BICUBIC)
    if scale % own or (own != scale and BICUBIC not in names):
        what = ", ".join(f"{part} by {parts[part].scale}" for part in parts if parts[part].scale != 1)
        hint = "" if scale % own else f"; add {ARROW}{BICUBIC} for the rest"
        raise UserError(f"{name!r} enlarges by {own} ({what}), but the comparison is at scale {scale}{hint}")
    chain = [_bicubic(scale // own) if part == BICUBIC else parts[part].apply for part in names]
    return lambda low: _apply_all(chain, low)


def is_enhancer(name: str) -> bool:
    """Whether all parts of `name` are bicubic, formulas or released enhancers, which restore RGB images only."""
    parts = (ALIASES.get(part, part) for part in name.split(ARROW))
    return all(part == BICUBIC or part in FORMULAS or part in RELEASED_ENHANCERS for part in parts)


def load_network(name: str) -> Run | None:
    """The run of PRETRAINED or WORKDIR; None if `name` is neither."""
    if name in list_pretrained():
        return load_pretrained_run(name)
    return load_trained(name) if name and open_path(name).is_dir() else None


def _make_part(part: str, name: str, assets: str, run: Run | None) -> Part:
    """A part of the cascade `name`."""
    if part in FORMULAS:
        return Part(FORMULAS[part], 1)
    released = ALIASES.get(part, part)
    if released in RELEASED_ENHANCERS:
        return Part(Restorer(*load_released(released, assets=assets), exact=True), 1)
    run = run or load_network(part)
    if run is None:
        known = f"a training run's folder, bicubic; {known_models(part)}"
        where = "" if part == name else f" in {name!r}"
        if "/" in part:
            raise UserError(f"{part!r}{where}: no such folder; a path is the workdir of a training run")
        raise UserError(f"unknown method {part!r}{where}; known: {known}")
    if run.task.input_kind != "rgb":
        raise UserError(f"{name!r}: {part} restores camera raw files, not images")
    restorer = Restorer(run.task, run.variables, exact=True)
    return Part(restorer, restorer.scale)


def _bicubic(scale: int) -> Baseline:
    return lambda low: resize(low, (low.shape[0] * scale, low.shape[1] * scale))


def _apply_all(chain: Sequence[Baseline], image: np.ndarray) -> np.ndarray:
    for apply in chain:
        image = apply(image)
    return image
