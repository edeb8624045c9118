"""Restores photos, camera raw files and videos. Flags: restore_flags.py; which model: restore_models.py."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ultrabm_jax import cli
from ultrabm_jax.commands.restore_flags import (
    is_sampling,
    parser,
    recorded_options,
    refuse_exposure,
    refuse_raw_flags,
)
from ultrabm_jax.commands.restore_models import (
    check_scale,
    check_weights,
    find_formula,
    load,
    load_by_name,
    load_for_videos,
    photo_model,
)
from ultrabm_jax.commands.restore_video import restore_videos, split_videos
from ultrabm_jax.errors import UserError
from ultrabm_jax.image.exposure import check_stops
from ultrabm_jax.logging import logger
from ultrabm_jax.pretrained import DEFAULT_MODEL

if TYPE_CHECKING:
    import numpy as np

    from ultrabm_jax.inference.jobs import Job
    from ultrabm_jax.models.task import Task
    from ultrabm_jax.typing import Variables


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 1 if any image failed."""
    args = parser().parse_args(argv)
    if args.list_models:
        from ultrabm_jax.commands import models

        return models.main([])
    if not args.inputs:
        raise UserError("name an image, a camera raw file or a folder; --help lists the flags")
    check_weights(args)
    check_scale(args)
    check_stops(args.exposure)
    cli.enable_compilation_cache()
    cli.require_devices()
    videos, args.inputs = split_videos(args)
    if videos:
        refuse_exposure(args)
        recorded = recorded_options(args, photo_model(args), "fps", "codec")
        failed = restore_videos(args, videos, lambda count: load_for_videos(args, count), recorded=recorded)
        return int(failed + (restore_images(args) if args.inputs else 0) > 0)
    if args.fps is not None:
        raise UserError("--fps is for videos and folders of frames, and there are none")
    return restore_images(args)


def restore_images(args: argparse.Namespace) -> int:
    """Restores the photos and camera raw files among the inputs. Exit status: 1 if any failed."""
    if args.model is None and args.workdir is None:
        return int(restore_by_kind(args) > 0)
    from ultrabm_jax.inference.named import RAW_MODEL
    from ultrabm_jax.raw import require_rawpy

    if formula := find_formula(args):
        return int(restore_photos(args, plan_photos(args), formula) > 0)
    if args.model == RAW_MODEL and any(Path(name).suffix.lower() != ".npy" for name in args.inputs):
        require_rawpy()  # before weights are downloaded; packed mosaics (.npy) do without
    task, variables = load(args)
    if is_sampling(args):
        return int(sample_photos(args, task, variables) > 0)
    restore = restore_raw if task.input_kind == "mosaic" else restore_tiled
    return int(restore(args, task, variables) > 0)


def restore_by_kind(args: argparse.Namespace) -> int:
    """Restores photos with the default model and camera raw files with RED; returns the number of failures."""
    from ultrabm_jax.image.formats import SUFFIXES
    from ultrabm_jax.inference.jobs import plan
    from ultrabm_jax.inference.named import RAW_MODEL
    from ultrabm_jax.raw import CAMERA_SUFFIXES, require_rawpy

    if is_sampling(args):
        raise UserError("--temperature, --samples, --uncertainty and --seed need a --model of a distribution")
    what = "image or camera raw file"
    jobs = plan(args.inputs, args.output, extensions=SUFFIXES | CAMERA_SUFFIXES, what=what, format=args.format)
    mosaics = [job for job in jobs if job.source.suffix.lower() in CAMERA_SUFFIXES]
    photos = [job for job in jobs if job not in mosaics]
    if not mosaics:
        refuse_raw_flags(args)
    elif args.scale not in (None, 1):
        if not photos:
            raise UserError(f"--scale {args.scale} is for photos; {RAW_MODEL} does not enlarge camera raw files")
        logger.info(f"--scale {args.scale} is for photos; camera raw files keep their size")
    if not photos:
        refuse_exposure(args)
    parts = [
        (photos, photo_model(args), "photo", restore_tiled),
        (mosaics, RAW_MODEL, "camera raw file", restore_raw),
    ]
    failed = 0
    for part, name, kind, restore in parts:
        if part:
            logger.info(f"{len(part)} {kind}{'s' if len(part) > 1 else ''}: model {name}")
            try:
                if part is mosaics:
                    require_rawpy()  # before weights are downloaded
                failed += restore(args, *load_by_name(name), part)
            except UserError as error:
                if len(part) == len(jobs):
                    raise
                logger.error(f"{len(part)} {kind}{'s' if len(part) > 1 else ''} not restored: {error}")
                failed += len(part)
    if photos and mosaics:
        logger.info(f"{len(jobs)} files in total: {len(jobs) - failed} restored or kept, {failed} failed")
    return failed


def plan_photos(args: argparse.Namespace) -> list[Job]:
    """The photos among the inputs."""
    from ultrabm_jax.inference.jobs import plan

    refuse_raw_flags(args)
    return plan(args.inputs, args.output, format=args.format)


def restore_tiled(args: argparse.Namespace, task: Task, variables: Variables, jobs: Sequence[Job] | None = None) -> int:
    """Restores photos with a network; returns the number that failed. jobs: default: all photos of the inputs."""
    from ultrabm_jax.inference.restorer import Restorer

    if args.steady is not None:
        raise UserError("--steady is for videos and camera raw files; a folder of frames becomes a video with --fps")
    jobs = plan_photos(args) if jobs is None else jobs
    return restore_photos(args, jobs, Restorer(task, variables, tile=args.tile, overlap=args.overlap))


def restore_photos(args: argparse.Namespace, jobs: Sequence[Job], restorer: Callable[[np.ndarray], np.ndarray]) -> int:
    """The number of photos that failed."""
    from ultrabm_jax.inference.files import restore_files

    written = {"bits": args.bits, "overwrite": args.overwrite, "strip": args.strip, "stops": args.exposure}
    return restore_files(restorer, jobs, **written, options=recorded_options(args, photo_model(args)))


def sample_photos(args: argparse.Namespace, task: Task, variables: Variables) -> int:
    """The number of photos that failed."""
    from ultrabm_jax.inference.sampled_files import check_samples, sample_files
    from ultrabm_jax.inference.sampling import Sampler

    temperature = args.temperature or 0.0
    samples = 1 if args.samples is None else args.samples
    options = {"samples": samples, "uncertainty": args.uncertainty, "seed": args.seed or 0}
    task.require_distribution()
    check_samples(temperature=temperature, **options)
    jobs = plan_photos(args)
    sampler = Sampler(task, variables, temperature=temperature, tile=args.tile, overlap=args.overlap)
    written = {"bits": args.bits, "overwrite": args.overwrite, "strip": args.strip, "stops": args.exposure}
    return sample_files(sampler, jobs, **written, **options, options=recorded_options(args, DEFAULT_MODEL))


def restore_raw(args: argparse.Namespace, task: Task, variables: Variables, jobs: Sequence[Job] | None = None) -> int:
    """The number of camera raw files that failed. jobs: default: all such files of the inputs."""
    from ultrabm_jax.inference.jobs import plan
    from ultrabm_jax.inference.named import RAW_MODEL
    from ultrabm_jax.inference.raw_files import brightness, restore_raw_files, shared_amplification
    from ultrabm_jax.inference.restorer import Restorer
    from ultrabm_jax.raw import CAMERA_SUFFIXES
    from ultrabm_jax.raw.levels import parse_levels

    brightness(args.amplify, args.m)  # reports wrong flags before anything is read
    if jobs is None:
        refuse_exposure(args)
        what = "camera raw file"
        jobs = plan(args.inputs, args.output, extensions=CAMERA_SUFFIXES, what=what, format=args.format)
    restorer = Restorer(task, variables, tile=args.tile, overlap=args.overlap)
    options = {"amplify": args.amplify, "m": args.m, "levels": parse_levels(args.levels)}
    recorded = recorded_options(args, RAW_MODEL)
    if args.steady in ("smooth", "off"):
        raise UserError(
            f"--steady {args.steady} is for videos; without --steady, each camera raw file is amplified alone"
        )
    if args.steady and jobs:
        shared = shared_amplification(jobs, args.amplify, args.m, levels=options["levels"])
        options |= {"amplify": str(shared), "m": None}
    return restore_raw_files(restorer, jobs, bits=args.bits, overwrite=args.overwrite, **options, options=recorded)
