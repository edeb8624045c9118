"""The part of `restore` that restores videos, and folders of frames with --fps."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from ultrabm_jax.errors import UserError
from ultrabm_jax.image.formats import VIDEO_SUFFIXES
from ultrabm_jax.video import CODECS, STEADY

if TYPE_CHECKING:
    from ultrabm_jax.inference.jobs import Job
    from ultrabm_jax.models.task import Task
    from ultrabm_jax.typing import Variables


def add_video_flags(flags: argparse.ArgumentParser) -> None:
    """Adds the flags of videos."""
    video = flags.add_argument_group("videos")
    video.add_argument("--fps", help="frames per second; a folder of frames with it becomes a video")
    video.add_argument("--codec", choices=CODECS, default="h264", help="of the output (default: h264)")
    video.add_argument(
        "--steady",
        choices=STEADY,
        help="against flicker: one enhancement for the clip (default) | a smoothed one | none; "
        "clip also gives all camera raw files one amplification",
    )


def split_videos(args: argparse.Namespace) -> tuple[list[Path], list[str]]:
    """The inputs that are videos, also folders if --fps is given, and the others."""
    videos = [name for name in args.inputs if _is_video(Path(name), args)]
    return [Path(name) for name in dict.fromkeys(videos)], [name for name in args.inputs if name not in videos]


def _is_video(path: Path, args: argparse.Namespace) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES or (args.fps is not None and path.is_dir())


def restore_videos(
    args: argparse.Namespace,
    videos: Sequence[Path],
    load: Callable[[int], tuple[Task, Variables]],
    *,
    recorded: Mapping[str, object],
) -> int:
    """Restores every video; returns the number that failed, each reported in one line.

    load: gives the model for a number of videos. recorded: the flags that the results depend on.
    """
    from ultrabm_jax.inference.job_runner import run_jobs
    from ultrabm_jax.inference.named import FORMULAS
    from ultrabm_jax.inference.restorer import Restorer
    from ultrabm_jax.video.clip import VideoOptions, restore_clip

    _refuse_image_flags(args)
    if args.model in FORMULAS and args.weights is None:
        raise UserError(f"{args.model} adapts to each frame, so that a video flickers; choose a network")
    fps = None if args.fps is None else parse_fps(args.fps)
    jobs = plan_videos(videos, None if args.output is None else Path(args.output))
    task, variables = load(len(jobs))
    if task.input_kind != "rgb":
        raise UserError(f"{args.model or args.workdir} restores camera raw files, not videos")
    restorer = Restorer(task, variables, tile=args.tile, overlap=args.overlap)
    names = ("model", "workdir", "checkpoint", "weights", "weights_key", "scale", "option", "tile", "overlap")
    settings = repr([getattr(args, name) for name in names])
    options = VideoOptions(args.codec, args.steady or "clip", fps, settings)

    def work(job: Job, announce: Callable[[], None]) -> None:
        restore_clip(restorer, job.source, job.target, options, announce=announce)

    return run_jobs(jobs, work, bits=None, unit="video", overwrite=args.overwrite, options=recorded)


def plan_videos(videos: Sequence[Path], output: Path | None) -> list[Job]:
    """The videos and their outputs, without those that were made from others of them (`left_out`).

    Raises UserError if several videos would have one output.
    """
    from ultrabm_jax.inference.jobs import Job, left_out
    from ultrabm_jax.inference.records import identity, outputs_of
    from ultrabm_jax.video.clip import target_of

    if output is not None and output.suffix and not output.is_dir() and len(videos) > 1:
        raise UserError(f"--output {output} names one file, and there are {len(videos)} videos; name a folder")
    named = {identity(video): video for video in videos}
    made = left_out(named, outputs_of(named), output)
    return [Job(video, target_of(video, output)) for name, video in named.items() if name not in made]


def parse_fps(text: str) -> Fraction:
    """A frame rate: 25, 23.976 or 30000/1001."""
    try:
        fps = Fraction(text)
    except (ValueError, ZeroDivisionError):
        fps = Fraction(0)
    if not 0 < fps <= 1000:
        raise UserError(f"--fps is a number above 0 such as 25, 23.976 or 30000/1001, not {text!r}")
    return fps


def _refuse_image_flags(args: argparse.Namespace) -> None:
    given = [name for name in ("temperature", "samples", "seed", "format", "m") if getattr(args, name) is not None]
    given += ["uncertainty"] if args.uncertainty else []
    given += ["bits"] if args.bits != 8 else []
    if given:
        raise UserError(f"--{given[0]} is for images, not for videos")
