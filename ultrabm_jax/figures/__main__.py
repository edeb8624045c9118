"""Draws a figure of the papers as a PNG file; `COMMAND --help` lists its arguments and the figures that it makes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ultrabm_jax.cli import command_parser, local_path, run
from ultrabm_jax.figures import colour_ratio, curves, grid, maps, scores, tradeoff
from ultrabm_jax.figures.cells import framed
from ultrabm_jax.image import write_image

COMMANDS = {
    "grid": grid,
    "curves": curves,
    "scores": scores,
    "tradeoff": tradeoff,
    "maps": maps,
    "colour_ratio": colour_ratio,
}


def parser() -> argparse.ArgumentParser:
    """The parser of all figures."""
    flags = command_parser("python -m ultrabm_jax.figures", __doc__)
    commands = flags.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        first_line = (module.__doc__ or "").splitlines()[0]
        own = commands.add_parser(
            name,
            help=first_line,
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        module.add_arguments(own)
        own.add_argument("--output", required=True, type=local_path, help="image file")
    return flags


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    args = parser().parse_args(argv)
    figure = framed(COMMANDS[args.command].draw(args))
    write_image(args.output, figure)
    print(f"{args.output}: {figure.shape[1]}x{figure.shape[0]}")
    return 0


if __name__ == "__main__":
    sys.exit(run(lambda: main()))
