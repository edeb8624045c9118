"""Restores image files."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.image import Image, read_image, write_image
from ultrabm_jax.image.read import read_size
from ultrabm_jax.image.write import format_of
from ultrabm_jax.inference.images import restore_photo
from ultrabm_jax.inference.job_runner import run_jobs
from ultrabm_jax.inference.jobs import Job
from ultrabm_jax.logging import logger

MAX_HEADERS = 64  # files whose sizes are read in advance


def read_photo(job: Job, *, bits: int) -> Image:
    """Reads the input and logs its notes. Raises UserError if the output's format cannot hold the result."""
    photo = read_image(job.source)
    format_of(job.target, bits, alpha=photo.alpha is not None)
    for note in photo.notes:
        logger.info(f"note: {job.source}: {note}")
    return photo


def write_photo(target: Path, restored: np.ndarray, photo: Image, *, bits: int, strip: bool) -> None:
    """Writes a restored image with its input's EXIF (without the orientation), resolution and profile, or stripped."""
    if strip:
        write_image(target, restored, bits=bits)
    else:
        write_image(target, restored, bits=bits, icc=photo.icc, exif=photo.exif, dpi=photo.dpi)


def restore_files(
    restorer: Callable[[np.ndarray], np.ndarray],
    jobs: Sequence[Job],
    *,
    bits: int = 8,
    overwrite: bool = False,
    strip: bool = False,
    stops: float = 0.0,
    options: Mapping[str, object] | None = None,
) -> int:
    """Restores every image file; returns the number of failures.

    strip: without EXIF, resolution and profile. stops: exposure of the restored images. options: as `run_jobs`.
    """
    expect_sizes(restorer, jobs)

    def work(job: Job, announce: Callable[[], None]) -> None:
        photo = read_photo(job, bits=bits)
        restored = restore_photo(restorer, photo, stops=stops)
        announce()
        write_photo(job.target, restored, photo, bits=bits, strip=strip)

    return run_jobs(jobs, work, bits=bits, overwrite=overwrite, options=options)


def expect_sizes(restorer: Callable[..., np.ndarray], jobs: Sequence[Job]) -> None:
    """Announces the sizes of some of the files to a restorer with `expect`, from their headers, to compile less."""
    expect = getattr(restorer, "expect", None)
    if expect is None or len(jobs) < 2:
        return
    sizes: list[tuple[int, int]] = []
    for job in jobs[:: -(-len(jobs) // MAX_HEADERS)]:
        with contextlib.suppress(UserError, OSError):  # reported when it is restored
            sizes.append(read_size(job.source))
    expect(sizes)
