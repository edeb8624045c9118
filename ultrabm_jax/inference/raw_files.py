"""Restores camera raw files: `python restore.py --model red ...`.

A mosaic is read and amplified as a whole, then restored, whole or in tiles, once for each requested brightness m, to
separate files. Kinds of amplification: `amplification` in ultrabm_jax/raw/amplification.py.

The default crop of DNG files is applied, and images are rotated upright according to the orientation tag. The network's
output is not processed further: no white balance and no colour matrix beyond what the network learned for its camera.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.image import write_image
from ultrabm_jax.inference.images import restore_mosaic
from ultrabm_jax.inference.job_runner import run_jobs
from ultrabm_jax.inference.jobs import Job
from ultrabm_jax.inference.restorer import Restorer
from ultrabm_jax.logging import logger
from ultrabm_jax.raw import Levels, is_raw, read_raw
from ultrabm_jax.raw.amplification import AUTOMATIC, amplification, burnt_out_notes

CLIP_FILES = 16  # that the amplification of a clip is computed from


def brightness(amplify: str, m: Sequence[float] | None) -> tuple[str | float, list[float | None]]:
    """The flags `--amplify` and `--m` -> (auto, paper, mean or a number, every m; [None] without any)."""
    kind: str | float = amplify
    if amplify not in AUTOMATIC:
        try:
            kind = float(amplify)
        except ValueError:
            raise UserError(f"--amplify takes {', '.join(AUTOMATIC)} or a number, not {amplify!r}") from None
    numbers = [*(m or []), *([] if isinstance(kind, str) else [kind])]
    if not all(0 < number < np.inf for number in numbers):
        raise UserError(f"--amplify and --m take numbers above 0, not {', '.join(f'{n:g}' for n in numbers)}")
    return kind, list(m) if m else [None]


def shared_amplification(
    jobs: Sequence[Job], amplify: str, m: Sequence[float] | None, *, levels: str | Levels = "file"
) -> float:
    """One amplification for the frames of a clip: the geometric mean over up to `CLIP_FILES` of them, evenly spaced.

    Raises UserError for several brightness factors, and for a file that cannot be read.
    """
    kind, values = brightness(amplify, m)
    if len(values) > 1:
        raise UserError("--steady clip gives all files one amplification: give one --m")
    chosen = jobs[:: -(-len(jobs) // CLIP_FILES)]
    factors = [amplification(kind, read_raw(job.source, levels=levels).samples, values[0]) for job in chosen]
    return float(np.exp(np.mean(np.log(factors))))


def restore_raw_files(
    restorer: Restorer,
    jobs: Sequence[Job],
    *,
    amplify: str = "auto",
    m: Sequence[float] | None = None,
    levels: str | Levels = "file",
    bits: int = 8,
    overwrite: bool = False,
    options: Mapping[str, object] | None = None,
) -> int:
    """Restores every job at every m, STEM_mM.png if there are several. Returns the number of failures.

    options: as `run_jobs`.
    """
    kind, values = brightness(amplify, m)
    work = partial(_restore_file, restorer, kind=kind, values=values, levels=levels, bits=bits)
    targets = partial(_targets, values=values)
    return run_jobs(jobs, work, targets=targets, bits=bits, overwrite=overwrite, hash_sources=False, options=options)


def _targets(job: Job, *, values: Sequence[float | None]) -> list[Path]:
    if len(values) == 1:
        return [job.target]
    return [job.target.with_name(f"{job.target.stem}_m{m:g}{job.target.suffix}") for m in values]


def _restore_file(
    restorer: Restorer,
    job: Job,
    announce: Callable[[], None],
    *,
    kind: str | float,
    values: Sequence[float | None],
    levels: str | Levels,
    bits: int,
) -> None:
    if job.source.exists() and not is_raw(job.source):
        raise UserError(f"{job.source}: not a camera raw file, which is what this network restores")
    raw = read_raw(job.source, levels=levels)
    restorer.task.require_cfa(raw.cfa, source=str(job.source))
    for note in raw.notes:
        logger.info(f"note: {job.source}: {note}")
    samples = raw.samples
    amplifications = [amplification(kind, samples, m) for m in values]
    logger.info(f"{job.source}: {raw.cfa}, amplified {', '.join(f'{a:.1f}' for a in amplifications)} times")
    for note in burnt_out_notes(samples, min(amplifications)):
        logger.info(f"note: {job.source}: {note}")
    for index, (factor, target) in enumerate(zip(amplifications, _targets(job, values=values), strict=True)):
        restored = restore_mosaic(restorer.restore, raw, factor)
        if index == 0:
            announce()
        write_image(target, restored, bits=bits)
