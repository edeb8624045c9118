"""Camera raw files in, images out: `python restore.py --model red ...`.

A mosaic is read and amplified as a whole, then restored, whole or in tiles, at every brightness m that was asked for,
each a file of its own. The amplification is

    amplify     without m                                              with m
    "auto"      amplification_code with amp_factor 0.05                m * amplification_code
    "paper"     amplification_paper with its m = 0.5                   amplification_paper with m
    a number    that number, an exposure ratio say                     m times that number

"auto" with m = 1, 5, 8 is the release's demonstration, without m its training file; both are the same at m = 5 for dark
files, but a file that is bright already (amplification 1) is not multiplied by 5.

Images are turned upright by the file's orientation tag. They are as the network gives them: no white balance and no
colour matrix beside what it learned for its camera.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.image import write_image
from ultrabm_jax.image.symmetry import FROM_EXIF, flip_rotate
from ultrabm_jax.inference.files import Job, run_jobs
from ultrabm_jax.inference.restorer import Restorer, make_restorer
from ultrabm_jax.logging import logger
from ultrabm_jax.models.red.network import RED, pad_mosaic
from ultrabm_jax.models.red.weight_norm import fold_weight_norm
from ultrabm_jax.raw import Levels, is_raw, read_raw
from ultrabm_jax.raw.amplification import amplification_code, amplification_paper

TILE = 6144  # a mosaic of up to 6144 * 6144 samples is restored whole
OVERLAP = 512  # HSE sees that far
AUTOMATIC = ("auto", "paper")
TRAINING_FACTOR = 0.05  # amp_factor of the release's training file


def make_raw_restorer(model: RED, variables: Any, *, tile: int | None = None, overlap: int | None = None) -> Restorer:
    """`restorer(mosaic, statistics={})`: amplified (h, w, 1) -> (h, w, 3) in [0, 1]; weight norm folded away."""
    return make_restorer(
        model.clone(weight_norm=False),
        {"params": fold_weight_norm(variables["params"])},
        tile=TILE if tile is None else tile,
        overlap=OVERLAP if overlap is None else overlap,
        multiple=model.multiple,
        channels=1,
    )


def restore_mosaics(restorer: Restorer, model: RED, mosaics: np.ndarray, amplifications: Sequence[float]) -> np.ndarray:
    """Normalised mosaics (b, h, w) in canonical phase, one amplification for each -> (b, h, w, 3) in [0, 1]."""
    height, width = mosaics.shape[1:]
    amplified = jnp.asarray(mosaics * np.asarray(amplifications, np.float32)[:, None, None])[..., None]
    # Here and not in the tiles, whose padding knows nothing of filter arrays.
    padded = np.asarray(pad_mosaic(amplified, model.multiple, period=model.period))
    return restorer.many(padded, statistics={})[:, :height, :width]


def brightness(amplify: str, m: Sequence[float] | None) -> tuple[str | float, list[float | None]]:
    """The flags `--amplify` and `--m` -> (auto, paper or a number, every m; [None] without any)."""
    kind: str | float = amplify
    if amplify not in AUTOMATIC:
        try:
            kind = float(amplify)
        except ValueError:
            raise UserError(f"--amplify takes auto, paper or a number, not {amplify!r}") from None
    numbers = [*(m or []), *([] if isinstance(kind, str) else [kind])]
    if not all(0 < number < np.inf for number in numbers):
        raise UserError(f"--amplify and --m take numbers above 0, not {', '.join(f'{n:g}' for n in numbers)}")
    return kind, list(m) if m else [None]


def amplification(kind: str | float, mosaic: np.ndarray, m: float | None = None) -> float:
    """What a normalised mosaic is multiplied by; see the table above."""
    if kind == "auto":
        return amplification_code(mosaic, amp_factor=TRAINING_FACTOR) if m is None else m * amplification_code(mosaic)
    if kind == "paper":
        return amplification_paper(mosaic) if m is None else amplification_paper(mosaic, m=m)
    return float(kind) if m is None else m * float(kind)


def restore_raw_files(
    restorer: Restorer,
    model: RED,
    jobs: Sequence[Job],
    *,
    amplify: str = "auto",
    m: Sequence[float] | None = None,
    levels: str | Levels = "file",
    bits: int = 8,
    overwrite: bool = False,
) -> int:
    """Restores every job at every m, STEM_mM.png if there are several. Gives the number of files that failed."""
    kind, values = brightness(amplify, m)
    work = partial(_restore_file, restorer, model, kind=kind, values=values, levels=levels, bits=bits)
    return run_jobs(jobs, work, targets=partial(_targets, values=values), overwrite=overwrite)


def _targets(job: Job, *, values: Sequence[float | None]) -> list[Path]:
    if len(values) == 1:
        return [job.target]
    return [job.target.with_name(f"{job.target.stem}_m{m:g}.png") for m in values]


def _restore_file(
    restorer: Restorer,
    model: RED,
    job: Job,
    *,
    kind: str | float,
    values: Sequence[float | None],
    levels: str | Levels,
    bits: int,
) -> None:
    if job.source.exists() and not is_raw(job.source):
        raise UserError(f"{job.source}: not a camera raw file, which is what this network restores")
    raw = read_raw(job.source, levels=levels)
    if model.xtrans == "pack9" and raw.cfa != "xtrans":
        raise UserError(f"{job.source}: a Bayer sensor's; this network was made for X-Trans (xtrans=pack9)")
    for note in raw.notes:
        logger.info(f"note: {job.source}: {note}")
    samples = raw.samples
    amplifications = [amplification(kind, samples, m) for m in values]
    logger.info(f"{job.source}: {raw.cfa}, amplified {', '.join(f'{a:.1f}' for a in amplifications)} times")
    for factor, target in zip(amplifications, _targets(job, values=values), strict=True):
        restored = restore_mosaics(restorer, model, samples[None], [factor])[0]
        write_image(target, np.ascontiguousarray(flip_rotate(restored, FROM_EXIF[raw.orientation])), bits=bits)
