"""Restores photographs of any size: `python restore.py --workdir DIR INPUT... --output DIR` (docs/restore.md).

The model comes from a training run (--workdir) or from a foreign checkpoint (--model NAME --weights FILE.pth).
"""

from __future__ import annotations

import argparse
import ast
import sys
from typing import Any

from ultrabm_jax import cli
from ultrabm_jax.errors import UserError


def parser() -> argparse.ArgumentParser:
    """All flags."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("inputs", nargs="+", metavar="INPUT", help="photographs, or folders (searched recursively)")
    flags.add_argument("--output", required=True, help="folder of the restored PNG files")
    source = flags.add_mutually_exclusive_group(required=True)
    source.add_argument("--workdir", help="folder of a training run")
    source.add_argument("--model", help="model of a foreign checkpoint, for example ultrabm; needs --weights")
    flags.add_argument("--checkpoint", default="best", help="best, latest or a step (with --workdir; default: best)")
    flags.add_argument("--weights", help="PyTorch file (.pth); read without executing anything from it")
    flags.add_argument("--scale", type=int, default=2, help="super-resolution factor of the foreign checkpoint")
    flags.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="option of --model; default: as its authors released it",
    )
    flags.add_argument("--bits", type=int, choices=(8, 16), default=8, help="bits per channel of the output")
    flags.add_argument("--tile", type=int, help="side of a tile in input pixels; 0: never in tiles (default: 640)")
    flags.add_argument("--overlap", type=int, default=64, help="pixels that tiles share")
    flags.add_argument("--overwrite", action="store_true", help="restore again what the output folder has already")
    return flags


def load(args: argparse.Namespace) -> tuple[Any, Any]:
    """(model, variables) that the flags name."""
    if args.workdir is not None:
        from ultrabm_jax.inference.trained import load_trained

        run = load_trained(args.workdir, args.checkpoint)
        return run.model, run.variables
    if args.weights is None:
        raise UserError("--model needs --weights FILE.pth")
    from ultrabm_jax.models import create_model
    from ultrabm_jax.weights import from_torch, load_torch, release_options

    given = dict(option(text) for text in args.option)
    options = {**release_options(args.model), "scale": args.scale, **given}
    return create_model(args.model, **options), from_torch(args.model, load_torch(args.weights), **options)


def option(text: str) -> tuple[str, Any]:
    """`key=value`; a value that is no Python literal is a string."""
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise UserError(f"--option takes KEY=VALUE, not {text!r}")
    try:
        return key, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return key, value


def main(argv: list[str] | None = None) -> int:
    """Exit status: 1 if any picture failed."""
    args = parser().parse_args(argv)
    from ultrabm_jax.inference.files import plan, restore_files
    from ultrabm_jax.inference.restorer import make_restorer

    cli.enable_compilation_cache()
    jobs = plan(args.inputs, args.output)
    model, variables = load(args)
    restorer = make_restorer(model, variables, tile=args.tile, overlap=args.overlap)
    return int(restore_files(restorer, jobs, bits=args.bits, overwrite=args.overwrite) > 0)


if __name__ == "__main__":
    sys.exit(cli.run(main))
