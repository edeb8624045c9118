"""Writes samples of restored images, and maps of their uncertainty.

STEM.png                                the restoration, at temperature 0 or of one sample
STEM_sample1.png, STEM_sample2.png ...  several samples
STEM_uncertainty.png                    their standard deviation, gray; white is `WHITE` of the range of an image
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.image import write_image
from ultrabm_jax.inference.files import expect_sizes, read_photo, write_photo
from ultrabm_jax.inference.images import restore_photo
from ultrabm_jax.inference.job_runner import run_jobs
from ultrabm_jax.inference.jobs import Job
from ultrabm_jax.inference.sampling import Sampler, Spread
from ultrabm_jax.logging import logger

WHITE = 0.25  # the largest standard deviation that values in [0, 1] can have is 0.5


def check_samples(*, temperature: float, samples: int, uncertainty: bool, seed: int) -> None:
    """Raises UserError for flags that contradict each other."""
    if samples < 1:
        raise UserError(f"--samples is a number of images, 1 or more, not {samples}")
    if uncertainty and samples < 2:
        raise UserError("--uncertainty compares samples: give --samples 2 or more")
    if seed < 0:
        raise UserError(f"--seed is 0 or more, not {seed}")
    if samples > 1 and not temperature:
        raise UserError("at temperature 0 all samples are the same: give --temperature, for example 0.7")


def sample_files(
    sampler: Sampler,
    jobs: Sequence[Job],
    *,
    samples: int = 1,
    uncertainty: bool = False,
    seed: int = 0,
    bits: int = 8,
    overwrite: bool = False,
    strip: bool = False,
    stops: float = 0.0,
    options: Mapping[str, object] | None = None,
) -> int:
    """Restores every image file `samples` times; returns the number of failures.

    strip: without EXIF, resolution and profile. stops: exposure of the restored images. options: as `run_jobs`.
    """
    targets = partial(_targets, samples=samples, uncertainty=uncertainty)
    expect_sizes(sampler, jobs)
    work = partial(
        _sample, sampler, samples=samples, uncertainty=uncertainty, seed=seed, bits=bits, strip=strip, stops=stops
    )
    return run_jobs(jobs, work, targets=targets, bits=bits, overwrite=overwrite, options=options)


def _targets(job: Job, *, samples: int, uncertainty: bool) -> list[Path]:
    if samples == 1:
        return [job.target]
    names = [f"sample{i}" for i in range(1, samples + 1)] + (["uncertainty"] if uncertainty else [])
    return [job.target.with_name(f"{job.target.stem}_{name}{job.target.suffix}") for name in names]


def _sample(
    sampler: Sampler,
    job: Job,
    announce: Callable[[], None],
    *,
    samples: int,
    uncertainty: bool,
    seed: int,
    bits: int,
    strip: bool,
    stops: float,
) -> None:
    photo = read_photo(job, bits=bits)
    targets, spread = _targets(job, samples=samples, uncertainty=uncertainty), Spread()
    for index in range(samples):
        restored = restore_photo(partial(sampler, seed=seed, index=index), photo, stops=stops)
        spread.add(restored[..., :3])
        if index == 0:
            announce()
        write_photo(targets[index], restored, photo, bits=bits, strip=strip)
    if uncertainty:
        deviation = spread.deviation()
        logger.info(
            f"{job.source}: standard deviation {deviation.mean():.4f} on average, {deviation.max():.4f} at most"
        )
        write_image(targets[-1], np.repeat(np.clip(deviation / WHITE, 0, 1)[..., None], 3, axis=-1), bits=bits)
