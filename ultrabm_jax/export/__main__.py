"""Writes a model for another program: `ultrabm-jax export NAME|WORKDIR --format FORMAT`.

safetensors, pth    weights with the names of their authors' release, where there is one; restore.py --model FILE and
                    load_pretrained("FILE") load them
stablehlo           the network and its weights as one program for CPU, GPU and TPU, which needs only JAX
onnx                the same for ONNX Runtime, OpenVINO and others, for one image

Each file is read again, and its output is compared with that of the network. See docs/export.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ultrabm_jax.cli import command_parser, enable_compilation_cache, local_path, parse_sides, require_devices, run
from ultrabm_jax.errors import UserError

if TYPE_CHECKING:
    from ultrabm_jax.export.source import Source

FORMATS = ("safetensors", "pth", "stablehlo", "onnx")


def parser() -> argparse.ArgumentParser:
    """The command's flags."""
    flags = command_parser("ultrabm-jax export", __doc__)
    flags.add_argument("model", metavar="NAME|WORKDIR", help="a name of `ultrabm-jax models`, or a training run")
    flags.add_argument("--format", required=True, choices=FORMATS)
    flags.add_argument("--output", type=local_path, help="default: NAME.FORMAT in the current folder")
    flags.add_argument(
        "--size", default="free", metavar="HxW", help="image size of a stablehlo or onnx program, or free (default)"
    )
    flags.add_argument("--checkpoint", default="best", help="best, latest or a step of the run (default: best)")
    return flags


def main(argv: Sequence[str] | None = None) -> int:
    """Writes and checks one file."""
    args = parser().parse_args(argv)
    enable_compilation_cache()
    require_devices()
    from ultrabm_jax.export.source import open_source

    if args.output is not None and args.output.suffix != f".{args.format}":
        raise UserError(f"--output {args.output}: the name of a {args.format} file ends with .{args.format}")
    if args.output is not None and not args.output.parent.is_dir():
        raise UserError(f"--output {args.output}: no such folder: {args.output.parent}")
    source = open_source(args.model, checkpoint=args.checkpoint)
    for line in export(source, args, args.output or Path(f"{source.name}.{args.format}")):
        print(line, flush=True)
    if source.licence:
        print(f"licence of the weights: {source.licence}")
    return 0


def export(source: Source, args: argparse.Namespace, path: Path) -> Iterator[str]:
    """Writes `path` in the format of the flags; yields what to print."""
    if args.format == "stablehlo":
        from ultrabm_jax.export.stablehlo import export_stablehlo

        yield from export_stablehlo(source, path, parse_size(args.size))
    elif args.format == "onnx":
        from ultrabm_jax.export.onnx_file import export_onnx

        yield from export_onnx(source, path, parse_size(args.size))
    else:
        from ultrabm_jax.export.weight_files import export_weights

        yield from export_weights(source, path)


def parse_size(text: str) -> tuple[int, int] | None:
    """The size of "400x600", (400, 600); None for "free". Raises UserError for another text."""
    if text == "free":
        return None
    return parse_sides(text)


if __name__ == "__main__":
    sys.exit(run(main))
