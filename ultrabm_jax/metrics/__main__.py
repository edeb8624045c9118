"""Measures images that any program wrote: mean and standard deviation over images, by protocol.

    python -m ultrabm_jax.metrics RESTORED_DIR REFERENCE_DIR --protocols psnr_rgb ssim_rgb lpips_alex
    python -m ultrabm_jax.metrics RESTORED_DIR --protocols niqe_gray brisque --assets FOLDER
    python -m ultrabm_jax.metrics RESTORED_DIR --low LOW_DIR --protocols loe

Images are paired by name without extension and measured as 8-bit images. Nothing is resized, and brightness is not
aligned (except by psnr_gtmean_* and psnr_gtgc, as they are defined). The standard deviation is that of the population.

An image that a folder lacks is an error unless --allow-missing is given. An image that cannot be read or measured is
named, and the means are over the other images. The exit status is 0 if every image has every score, and 1 otherwise.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ultrabm_jax.cli import command_parser, enable_compilation_cache, progress, require_devices, run
from ultrabm_jax.errors import UserError
from ultrabm_jax.image.write import check_folder
from ultrabm_jax.metrics.folders import (
    FolderScores,
    Paths,
    deviation,
    list_images,
    measure,
    pair,
    write_csv,
    write_json,
)
from ultrabm_jax.metrics.registry import METRICS, find

DEFAULT_PROTOCOLS = {
    "reference": ("psnr_rgb", "ssim_rgb", "rmse", "delta_e", "chroma_ratio", "lpips_alex"),
    "none": ("niqe_gray",),
    "low": ("loe",),
}
DIRECTIONS = {True: "higher is better", False: "lower is better", None: "1 is best"}
FOLDER_ARGUMENTS = {"reference": "REFERENCE_DIR", "low": "--low LOW_DIR"}


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    options = _parser().parse_args(argv)
    for file in filter(None, (options.csv, options.json)):
        check_folder(Path(file).parent)
        if os.path.isdir(file):
            raise UserError(f"{file} is a folder, not a file to write")
    folders = {"restored": options.restored, "reference": options.reference, "low": options.low}
    listed = {kind: list_images(folder) for kind, folder in folders.items() if folder}
    protocols = options.protocols or _default_protocols(listed)
    for name in protocols:
        against = find(name)[0].against
        if against not in ("none", *listed):
            raise UserError(f"{name} compares with the {against} images: give {FOLDER_ARGUMENTS[against]}")
    names, missing = pair(listed["restored"], {kind: paths for kind, paths in listed.items() if kind != "restored"})
    if missing and not options.allow_missing:
        raise UserError(f"{'; '.join(missing)}; --allow-missing measures the images that every folder has")
    for line in missing:
        _note(line)
    enable_compilation_cache()
    require_devices()
    result = measure(progress(names, "image"), listed, protocols, assets=options.assets)
    print(table(result))
    for image, reasons in result.problems.items():
        for reason, names_without in reasons.items():
            _note(f"{image}: {reason} [{', '.join(names_without)}]")
    for line, count in result.notes.items():
        _note(f"{count} file{'s' if count > 1 else ''}: {line}")
    if result.identical:
        _note(f"{len(result.identical)} equal to the reference: {', '.join(result.identical)}")
    if options.csv:
        write_csv(options.csv, result)
    if options.json:
        write_json(options.json, result, missing)
    return 0 if result.complete else 1


def table(result: FolderScores) -> str:
    """One line for each protocol."""
    count, width = len(result.scores), max(map(len, result.protocols))
    lines = [f"{count} images".ljust(width) + f"{'mean':>13}{'std':>13}"]
    for name in result.protocols:
        values = result.values(name)
        if not len(values):
            lines.append(f"{name.ljust(width)}  not available: {result.reason(name)}")
            continue
        direction = DIRECTIONS[find(name)[0].higher_is_better]
        part = "" if len(values) == count else f", mean over {len(values)} of {count} images"
        lines.append(f"{name.ljust(width)}{np.mean(values):13.4f}{deviation(values):13.4f}  {direction}{part}")
    return "\n".join(lines)


def _note(line: str) -> None:
    print(f"note: {line}", file=sys.stderr)


def _default_protocols(listed: Mapping[str, Paths]) -> tuple[str, ...]:
    """The protocols that the given folders allow."""
    chosen = tuple(name for kind in ("reference", "low") if kind in listed for name in DEFAULT_PROTOCOLS[kind])
    return chosen or DEFAULT_PROTOCOLS["none"]


def _parser() -> argparse.ArgumentParser:
    parser = command_parser(
        "python -m ultrabm_jax.metrics",
        __doc__,
        epilog=f"protocols: {', '.join(METRICS)}; each also with a border to cut from every side, such as _crop4",
    )
    parser.add_argument("restored", metavar="RESTORED_DIR", help="folder of the images to measure")
    parser.add_argument("reference", metavar="REFERENCE_DIR", nargs="?", help="folder of the references")
    parser.add_argument("--protocols", nargs="+", metavar="NAME", help="default: depends on the given folders")
    parser.add_argument("--low", metavar="LOW_DIR", help="folder of the low-light inputs, for loe and loe_100")
    parser.add_argument("--allow-missing", action="store_true", help="measure the images that every folder has")
    parser.add_argument("--csv", metavar="FILE", help="write the scores of each image")
    parser.add_argument("--json", metavar="FILE", help="write means, scores of each image, and what is incomplete")
    parser.add_argument("--assets", metavar="FOLDER", help="searched first for weights and models, as $ULTRABM_ASSETS")
    return parser


if __name__ == "__main__":
    sys.exit(run(main))
