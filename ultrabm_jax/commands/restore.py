"""Restores photos of any size: `python restore.py --workdir DIR INPUT... --output DIR` (docs/restore.md).

The model comes from a training run (--workdir), from this package (--model NAME; ultrabm_jax.list_pretrained) or from a
foreign checkpoint (--model NAME --weights FILE.pth). For RED, inputs are camera raw files.
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ultrabm_jax import cli
from ultrabm_jax.errors import UserError

if TYPE_CHECKING:
    from ultrabm_jax.models.task import Task
    from ultrabm_jax.typing import Variables


def parser() -> argparse.ArgumentParser:
    """The command's flags."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("inputs", nargs="+", metavar="INPUT", help="photos (camera raw files for RED), or folders")
    flags.add_argument("--output", required=True, help="folder of the outputs; for one input also a file name")
    source = flags.add_mutually_exclusive_group(required=True)
    source.add_argument("--workdir", help="folder of a training run")
    source.add_argument("--model", help="a pretrained model, or with --weights the model of a foreign checkpoint")
    flags.add_argument("--checkpoint", default="best", help="best, latest or a step (with --workdir; default: best)")
    flags.add_argument("--weights", help="PyTorch or safetensors file; read without executing anything from it")
    flags.add_argument("--weights-key", help="reads the tensors below this key of the file, for example params_ema")
    flags.add_argument("--scale", type=int, help="super-resolution factor of the foreign checkpoint (default: 2)")
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
    flags.add_argument("--overwrite", action="store_true", help="restore again even if the output exists")
    draw = flags.add_argument_group("models of a distribution (lolisrflow)")
    draw.add_argument("--temperature", type=float, help="of samples; 0: the most likely restoration (default)")
    draw.add_argument("--samples", type=int, help="restorations of each image, STEM_sampleI.png (default: 1)")
    draw.add_argument("--uncertainty", action="store_true", help="standard deviation of the samples, as a gray image")
    draw.add_argument("--seed", type=int, help="of the samples (default: 0)")
    raw = flags.add_argument_group("camera raw files")
    raw.add_argument("--amplify", default="auto", help="auto: the release's amplifier (default) | paper | a ratio")
    raw.add_argument("--m", type=float, nargs="+", help="times brighter (with paper: its m); several give STEM_mM.png")
    raw.add_argument("--levels", default="file", help="black and white: file (default) | table, SID's | BLACK,WHITE")
    return flags


def load(args: argparse.Namespace) -> tuple[Task, Variables]:
    """The network that the flags name, and its variables."""
    if args.workdir is not None:
        if args.weights_key is not None:
            raise UserError("--weights-key goes with --weights; a workdir has --checkpoint")
        from ultrabm_jax.inference.runs import load_trained

        run = load_trained(args.workdir, args.checkpoint)
        return run.task, run.variables
    if args.weights is None:
        return load_bundled(args)
    from ultrabm_jax.models import create_task
    from ultrabm_jax.weights import from_torch, load_torch, release_options

    given = dict(option(text) for text in args.option)
    scale = {} if args.scale is None else {"scale": args.scale}
    options = {"scale": 2, **release_options(args.model), **scale, **given}
    state_dict = load_torch(args.weights, key=args.weights_key)
    return create_task(args.model, **options), from_torch(args.model, state_dict, **options)


def load_bundled(args: argparse.Namespace) -> tuple[Task, Variables]:
    """The bundled model that --model names."""
    from ultrabm_jax.inference.pretrained import load_pretrained
    from ultrabm_jax.pretrained import known_pretrained, list_pretrained

    if args.model not in list_pretrained():
        raise UserError(f"--model {args.model} needs --weights FILE.pth or a pretrained model; {known_pretrained()}")
    if args.option or args.scale is not None or args.weights_key is not None:
        raise UserError("--option, --scale and --weights-key go with --weights; a pretrained model has its own")
    run = load_pretrained(args.model)
    return run.task, run.variables


def option(text: str) -> tuple[str, object]:
    """Parses `key=value`; a value that is not a Python literal is kept as a string."""
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise UserError(f"--option takes KEY=VALUE, not {text!r}")
    try:
        return key, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return key, value


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 1 if any image failed."""
    args = parser().parse_args(argv)
    cli.enable_compilation_cache()
    cli.require_devices()
    task, variables = load(args)
    sampling = args.uncertainty or not (args.temperature is args.samples is args.seed is None)
    restore = sample_photos if sampling else restore_raw if task.input_kind == "mosaic" else restore_photos
    return int(restore(args, task, variables) > 0)


def restore_photos(args: argparse.Namespace, task: Task, variables: Variables) -> int:
    """The number of photos that failed."""
    from ultrabm_jax.inference.files import plan, restore_files
    from ultrabm_jax.inference.restorer import Restorer

    jobs = plan(args.inputs, args.output, format=args.format)
    restorer = Restorer(task, variables, tile=args.tile, overlap=args.overlap)
    return restore_files(restorer, jobs, bits=args.bits, overwrite=args.overwrite, strip=args.strip)


def sample_photos(args: argparse.Namespace, task: Task, variables: Variables) -> int:
    """The number of photos that failed."""
    from ultrabm_jax.inference.files import plan
    from ultrabm_jax.inference.sampled_files import check_samples, sample_files
    from ultrabm_jax.inference.sampling import Sampler

    temperature = args.temperature or 0.0
    samples = 1 if args.samples is None else args.samples
    options = {"samples": samples, "uncertainty": args.uncertainty, "seed": args.seed or 0}
    task.require_distribution()
    check_samples(temperature=temperature, **options)
    jobs = plan(args.inputs, args.output, format=args.format)
    sampler = Sampler(task, variables, temperature=temperature, tile=args.tile, overlap=args.overlap)
    return sample_files(sampler, jobs, bits=args.bits, overwrite=args.overwrite, strip=args.strip, **options)


def restore_raw(args: argparse.Namespace, task: Task, variables: Variables) -> int:
    """The number of camera raw files that failed."""
    from ultrabm_jax.inference.files import plan
    from ultrabm_jax.inference.raw_files import brightness, restore_raw_files
    from ultrabm_jax.inference.restorer import Restorer
    from ultrabm_jax.raw import RAW_SUFFIXES
    from ultrabm_jax.raw.levels import parse_levels

    brightness(args.amplify, args.m)  # reports wrong flags before anything is read
    raw_suffixes = RAW_SUFFIXES - {".npy"}
    jobs = plan(args.inputs, args.output, extensions=raw_suffixes, what="camera raw file", format=args.format)
    restorer = Restorer(task, variables, tile=args.tile, overlap=args.overlap)
    options = {"amplify": args.amplify, "m": args.m, "levels": parse_levels(args.levels)}
    return restore_raw_files(restorer, jobs, bits=args.bits, overwrite=args.overwrite, **options)
