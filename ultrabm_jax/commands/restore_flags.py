"""The flags of `restore`, which of them exclude each other, and those that an output's record lists."""

from __future__ import annotations

import argparse
import os

from ultrabm_jax.buckets import url_scheme
from ultrabm_jax.cli import local_name
from ultrabm_jax.commands.restore_video import add_video_flags
from ultrabm_jax.errors import UserError
from ultrabm_jax.pretrained import DEFAULT_MODEL

DESCRIPTION = """\
Restores photos, camera raw files and videos: `restore.py night.jpg` writes night_restored.png beside it.

Without --model and --workdir, photos go to the default model and camera raw files to RED. --model takes a name of
--list-models, or with --weights the network of a foreign checkpoint; --workdir takes a training run. See
docs/restore.md.
"""


def parser() -> argparse.ArgumentParser:
    """The command's flags."""
    flags = argparse.ArgumentParser(description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument(
        "inputs", type=local_name, nargs="*", metavar="INPUT", help="photos, camera raw files, videos, or folders"
    )
    flags.add_argument(
        "--output", type=local_name, help="folder of the outputs; for one input also a file name (default: beside it)"
    )
    flags.add_argument("--list-models", action="store_true", help="list the models that --model takes by name")
    source = flags.add_mutually_exclusive_group()
    source.add_argument("--workdir", help="folder or gs:// URL of a training run")
    source.add_argument("--model", help=f"a name of --list-models (default: {DEFAULT_MODEL}), or of --weights")
    flags.add_argument("--checkpoint", default="best", help="best, latest or a step (with --workdir; default: best)")
    flags.add_argument(
        "--weights", type=local_name, help="PyTorch or safetensors file; read without executing anything from it"
    )
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
