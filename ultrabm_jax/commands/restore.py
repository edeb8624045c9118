"""Restores photos, camera raw files and videos: `restore.py night.jpg` writes night_restored.png beside it.

Without --model and --workdir, photos go to the default model and camera raw files to RED. --model takes a name of
--list-models, or with --weights the network of a foreign checkpoint; --workdir takes a training run. See
docs/restore.md.
"""

from __future__ import annotations

import argparse
import ast
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ultrabm_jax import cli
from ultrabm_jax.buckets import url_scheme
from ultrabm_jax.commands.restore_video import add_video_flags, restore_videos, split_videos
from ultrabm_jax.errors import UserError
from ultrabm_jax.image.exposure import check_stops
from ultrabm_jax.logging import logger
from ultrabm_jax.pretrained import DEFAULT_MODEL, ENLARGING_MODELS, list_pretrained

if TYPE_CHECKING:
    import numpy as np

    from ultrabm_jax.inference.jobs import Job
    from ultrabm_jax.models.task import Task
    from ultrabm_jax.typing import Variables


def parser() -> argparse.ArgumentParser:
    """The command's flags."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("inputs", nargs="*", metavar="INPUT", help="photos, camera raw files, videos, or folders")
    flags.add_argument("--output", help="folder of the outputs; for one input also a file name (default: beside it)")
    flags.add_argument("--list-models", action="store_true", help="list the models that --model takes by name")
    source = flags.add_mutually_exclusive_group()
    source.add_argument("--workdir", help="folder or gs:// URL of a training run")
    source.add_argument("--model", help=f"a name of --list-models (default: {DEFAULT_MODEL}), or of --weights")
    flags.add_argument("--checkpoint", default="best", help="best, latest or a step (with --workdir; default: best)")
    flags.add_argument("--weights", help="PyTorch or safetensors file; read without executing anything from it")
    flags.add_argument("--weights-key", help="reads the tensors below this key of the file, for example params_ema")
    flags.add_argument(
        "--scale",
        type=int,
        help="2 enlarges photos and videos by 2 (default: 1); with --weights: the network's (default: 2)",
    )
    flags.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="option of --model; default: as its authors released it",
    )
    flags.add_argument("--bits", type=int, choices=(8, 16), default=8, help="bits per channel of the output")
    flags.add_argument("--format", choices=("png", "jpg", "webp", "tif"), help="format of the outputs (default: png)")
    flags.add_argument("--strip", action="store_true", help="write no EXIF, resolution and colour profile")
    flags.add_argument("--tile", type=int, help="side of a tile in input pixels; 0: never (default: 640; RED: 6144)")
    flags.add_argument("--overlap", type=int, help="pixels that tiles share (default: 64; RED: 512)")
    flags.add_argument(
        "--exposure",
        type=float,
        default=0.0,
        metavar="STOPS",
        help="of restored photos: 1 is twice the light (default: 0)",
    )
    flags.add_argument("--overwrite", action="store_true", help="restore again even if the output exists")
    draw = flags.add_argument_group("models of a distribution (lolisrflow)")
    draw.add_argument("--temperature", type=float, help="of samples; 0: the most likely restoration (default)")
    draw.add_argument("--samples", type=int, help="restorations of each image, STEM_sampleI.png (default: 1)")
    draw.add_argument("--uncertainty", action="store_true", help="standard deviation of the samples, as a gray image")
    draw.add_argument("--seed", type=int, help="of the samples (default: 0)")
    raw = flags.add_argument_group("camera raw files")
    raw.add_argument(
        "--amplify", default="auto", help="auto: the release's amplifier (default) | paper | mean | a ratio"
    )
    raw.add_argument("--m", type=float, nargs="+", help="times brighter (with paper: its m); several give STEM_mM.png")
    raw.add_argument("--levels", default="file", help="black and white: file (default) | table, SID's | BLACK,WHITE")
    add_video_flags(flags)
    return flags


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 1 if any image failed."""
    args = parser().parse_args(argv)
    if args.list_models:
        from ultrabm_jax.commands import models

        return models.main([])
    if not args.inputs:
        raise UserError("name an image, a camera raw file or a folder; --help lists the flags")
    if args.weights is not None and args.model is None:
        raise UserError("--weights needs --model, the network that the file is of")
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


def photo_model(args: argparse.Namespace) -> str:
    """The default model for photos at `--scale`."""
    return ENLARGING_MODELS.get(args.scale, DEFAULT_MODEL)


def check_scale(args: argparse.Namespace) -> None:
    """Raises UserError if no default model has the `--scale` that is given without a model, or if a formula has not."""
    if args.scale in (None, 1) or args.weights is not None:
        return
    if args.model is None and args.workdir is None and args.scale not in ENLARGING_MODELS:
        scales = " or ".join(map(str, (1, *ENLARGING_MODELS)))
        raise UserError(
            f"--scale {args.scale}: photos are restored at scale {scales}; "
            "another scale needs --model NETWORK --weights FILE, or --workdir"
        )
    if find_formula(args):
        require_scale(args, 1)


def require_scale(args: argparse.Namespace, scale: int) -> None:
    """Raises UserError if `--scale` is given and is not the scale of the model that the flags name."""
    if args.scale not in (None, scale):
        name = args.model or args.workdir
        default = "; without --model, photos are enlarged by 2" if args.scale in ENLARGING_MODELS else ""
        raise UserError(f"--scale {args.scale}: {name} has scale {scale}{default}")


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


def load_by_name(name: str) -> tuple[Task, Variables]:
    """The network of a model that `--model` knows by name, and its variables."""
    from ultrabm_jax.inference.named import load_named

    if name == DEFAULT_MODEL and name not in list_pretrained():
        raise UserError(f"this version does not contain the default model {name}; choose one of --list-models")
    return load_named(name)


def load(args: argparse.Namespace) -> tuple[Task, Variables]:
    """The network that the flags name, and its variables."""
    if args.workdir is not None:
        if args.weights_key is not None:
            raise UserError("--weights-key goes with --weights; a workdir has --checkpoint")
        from ultrabm_jax.inference.runs import load_trained

        run = load_trained(args.workdir, args.checkpoint)
        require_scale(args, run.task.scale)
        return run.task, run.variables
    from ultrabm_jax.weights import IMPORTERS, from_torch, load_torch, release_options

    if args.weights is None:
        from ultrabm_jax.inference.named import is_named, known_models

        if args.model in IMPORTERS and not is_named(args.model):
            raise UserError(f"--model {args.model} needs --weights FILE.pth; {known_models(args.model)}")
        if args.option or args.weights_key is not None:
            raise UserError("--option and --weights-key go with --weights; a pretrained model has its own options")
        task, variables = load_by_name(args.model)
        require_scale(args, task.scale)
        return task, variables
    from ultrabm_jax.models import create_task

    given = dict(option(text) for text in args.option)
    scale = {} if args.scale is None else {"scale": args.scale}
    options = {"scale": 2, **release_options(args.model), **scale, **given}
    state_dict = load_torch(args.weights, key=args.weights_key)
    return create_task(args.model, **options), from_torch(args.model, state_dict, **options)


def load_for_videos(args: argparse.Namespace, videos: int) -> tuple[Task, Variables]:
    """The network that the flags name, or the default one for photos, and its variables."""
    if args.model is not None or args.workdir is not None:
        return load(args)
    logger.info(f"{videos} video{'s' if videos > 1 else ''}: model {photo_model(args)}")
    return load_by_name(photo_model(args))


def find_formula(args: argparse.Namespace) -> Callable[[np.ndarray], np.ndarray] | None:
    """The formula that --model names, such as gamma."""
    from ultrabm_jax.inference.named import FORMULAS

    return FORMULAS.get(args.model) if args.weights is None else None


def option(text: str) -> tuple[str, object]:
    """Parses `key=value`; a value that is not a Python literal is kept as a string."""
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise UserError(f"--option takes KEY=VALUE, not {text!r}")
    try:
        return key, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return key, value


def is_sampling(args: argparse.Namespace) -> bool:
    """Whether a flag of models of a distribution is given."""
    return args.uncertainty or not (args.temperature is args.samples is args.seed is None)


def refuse_raw_flags(args: argparse.Namespace) -> None:
    """Raises UserError for flags of camera raw files, which photos would ignore."""
    if args.m is not None or args.amplify != "auto" or args.levels != "file":
        raise UserError("--m, --amplify and --levels are for camera raw files; photos have --exposure STOPS")


def refuse_exposure(args: argparse.Namespace) -> None:
    """Raises UserError for the flag of photos, which camera raw files and videos would ignore."""
    if args.exposure:
        raise UserError("--exposure is for photos; camera raw files have --m TIMES")


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


def recorded_options(args: argparse.Namespace, default: str, *more: str) -> dict[str, object]:
    """The flags with other values than their defaults that a result depends on; `default` is the model without flags.

    more: further flags. A workdir is recorded by its path: a run that has been trained further counts as the same.
    """
    names = (
        *("checkpoint", "weights", "weights_key", "option", "tile", "overlap", "bits", "strip", "exposure"),
        *(["scale"] if args.weights is not None else []),  # otherwise the model determines it
        *("temperature", "samples", "uncertainty", "seed", "amplify", "m", "levels", "steady", *more),
    )
    flags, given = parser(), vars(args)
    chosen = {name: given[name] for name in names if given[name] != flags.get_default(name)}
    if args.workdir is not None:
        local = url_scheme(args.workdir) is None
        return {"workdir": os.path.realpath(args.workdir) if local else args.workdir, **chosen}
    return {"model": args.model or default, **chosen}
