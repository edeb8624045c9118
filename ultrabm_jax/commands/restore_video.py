"""The part of `restore` that restores videos, and folders of frames with --fps."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from ultrabm_jax.errors import UserError
from ultrabm_jax.image.formats import VIDEO_SUFFIXES
from ultrabm_jax.logging import logger
from ultrabm_jax.video import CODECS, STEADY

if TYPE_CHECKING:
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
    return [Path(name) for name in videos], [name for name in args.inputs if name not in videos]


def _is_video(path: Path, args: argparse.Namespace) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES or (args.fps is not None and path.is_dir())


def restore_videos(args: argparse.Namespace, videos: Sequence[Path], load: Callable[[], tuple[Task, Variables]]) -> int:
    """Restores every video; returns the number that failed, each reported in one line.

    load: gives the model.
    """
    from ultrabm_jax.inference.named import FORMULAS
    from ultrabm_jax.inference.restorer import Restorer
    from ultrabm_jax.video.clip import VideoOptions, restore_clip, target_of

    _refuse_image_flags(args)
    if args.model in FORMULAS and args.weights is None:
        raise UserError(f"{args.model} adapts to each frame, so that a video flickers; choose a network")
    fps = None if args.fps is None else parse_fps(args.fps)
    output = None if args.output is None else Path(args.output)
    if output is not None and output.suffix and not output.is_dir() and len(videos) > 1:
        raise UserError(f"--output {output} names one file, and there are {len(videos)} videos; name a folder")
    task, variables = load()
    if task.input_kind != "rgb":
        raise UserError(f"{args.model or args.workdir} restores camera raw files, not videos")
    restorer = Restorer(task, variables, tile=args.tile, overlap=args.overlap)
    names = ("model", "workdir", "checkpoint", "weights", "weights_key", "scale", "option", "tile", "overlap")
    settings = repr([getattr(args, name) for name in names])
    options = VideoOptions(args.codec, args.steady or "clip", fps, settings, args.overwrite)
    failed = 0
    for video in videos:
        try:
            restore_clip(restorer, video, target_of(video, output), options)
        except (UserError, OSError) as error:
            failed += 1
            logger.error(str(error))
    return failed


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
