"""Measures images that any program wrote: mean and standard deviation over images, by protocol.

    python -m ultrabm_jax.metrics RESTORED_DIR REFERENCE_DIR --protocols psnr_rgb ssim_rgb lpips_alex
    python -m ultrabm_jax.metrics RESTORED_DIR --protocols niqe_gray brisque --assets FOLDER
    python -m ultrabm_jax.metrics RESTORED_DIR --low LOW_DIR --protocols loe
    python -m ultrabm_jax.metrics ours=out/a REFERENCE_DIR --method theirs=out/b/*_b --table table.md table.tex
    python -m ultrabm_jax.metrics restored.png reference.png

Several methods are measured on the same images; the table has 95 % intervals (bootstrap over images), and the
differences between the first method and each other one are paired over images.

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

from ultrabm_jax.cli import (
    available_cores,
    command_parser,
    enable_compilation_cache,
    local_name,
    progress,
    require_devices,
    run,
)
from ultrabm_jax.errors import UserError
from ultrabm_jax.image.write import check_folder
from ultrabm_jax.metrics.folder_scores import FolderScores, deviation, measure
from ultrabm_jax.metrics.folders import Paths, list_images, list_named, pair
from ultrabm_jax.metrics.methods_table import (
    describe_differences,
    directions,
    intervals,
    means,
    name_methods,
    write_table,
)
from ultrabm_jax.metrics.registry import METRICS, find
from ultrabm_jax.metrics.score_files import write_csv, write_json
from ultrabm_jax.metrics.score_table import TABLES, text_scores

DEFAULT_PROTOCOLS = {
    "reference": ("psnr_rgb", "ssim_rgb", "rmse", "delta_e", "chroma_ratio", "lpips_alex"),
    "none": ("niqe_gray",),
    "low": ("loe",),
}
MAX_WORKERS = 4  # by default; each thread holds the intermediate arrays of one image
DIRECTIONS = {True: "higher is better", False: "lower is better", None: "1 is best"}
FOLDER_ARGUMENTS = {"reference": "REFERENCE_DIR", "low": "--low LOW_DIR"}


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    options = _parser().parse_args(argv)
    if options.workers < 1:
        raise UserError(f"--workers {options.workers}: at least 1")
    tables = options.table or []
    for file in filter(None, (options.csv, options.json, *tables)):
        check_folder(Path(file).parent)
        if os.path.isdir(file):
            raise UserError(f"{file} is a folder, not a file to write")
    for file in tables:
        if Path(file).suffix not in TABLES:
            raise UserError(f"--table {file}: the suffix of a table is one of {', '.join(TABLES)}")
    methods, others = _list(options)
    protocols = _protocols(options.protocols) or _default_protocols(others)
    for name in protocols:
        against = find(name)[0].against
        if against not in ("none", *others):
            raise UserError(f"{name} compares with the {against} images: give {FOLDER_ARGUMENTS[against]}")
    first, *rest = methods
    names, missing = pair(methods[first], {**{repr(name): methods[name] for name in rest}, **others})
    if missing and not options.allow_missing:
        raise UserError(f"{'; '.join(missing)}; --allow-missing measures the images that every folder has")
    for line in missing:
        _note(line)
    enable_compilation_cache()
    require_devices()
    images = progress(names, "image")
    results = measure(images, methods, others, protocols, assets=options.assets, workers=options.workers)
    _print(results)
    result = results[first] if len(results) == 1 else results
    if options.csv:
        write_csv(options.csv, result)
    if options.json:
        write_json(options.json, result, missing)
    for file in tables:
        write_table(file, results)
    return 0 if all(each.complete for each in results.values()) else 1


def _list(options: argparse.Namespace) -> tuple[dict[str, Paths], dict[str, Paths]]:
    """({method: its images}, {"reference" and "low": their images}); single files have the name of the first one."""
    paths = name_methods([options.restored, *(options.method or [])])
    others = {kind: path for kind, path in (("reference", options.reference), ("low", options.low)) if path}
    files = [path for path in (*paths.values(), *others.values()) if os.path.isfile(path)]
    if len(files) == len(paths) + len(others):
        name = Path(files[0]).stem
        single = {what: {name: Path(path)} for what, path in {**paths, **others}.items()}
        return {what: single[what] for what in paths}, {what: single[what] for what in others}
    if files:
        raise UserError(f"{files[0]} is a file, and another argument is a folder: give files only, or folders only")
    methods = {name: list_named(path, suffix=options.suffix) for name, path in paths.items()}
    return methods, {kind: list_images(path) for kind, path in others.items()}


def _print(results: Mapping[str, FolderScores]) -> None:
    """The table of one method; of several methods, one table, and their differences. Notes go to standard error."""
    if len(results) == 1:
        print(table(*results.values()))
    else:
        print(text_scores(means(results), directions(results), intervals(results)))
        print(f"\n{describe_differences(results)}")
    for method, result in results.items():
        of = f"{method}: " if len(results) > 1 else ""
        for image, reasons in result.problems.items():
            for reason, names_without in reasons.items():
                _note(f"{of}{image}: {reason} [{', '.join(names_without)}]")
        for protocol, reason in result.unavailable.items():
            if of:
                _note(f"{of}{protocol}: {reason}")
        for line, count in result.notes.items():
            _note(f"{of}{count} file{'s' if count > 1 else ''}: {line}")
        if result.identical:
            _note(f"{of}{len(result.identical)} equal to the reference: {', '.join(result.identical)}")


def table(result: FolderScores) -> str:
    """One line for each protocol."""
    count, width = len(result.scores), max(map(len, result.protocols))
    lines = [f"{count} image{'s' if count != 1 else ''}".ljust(width) + f"{'mean':>13}{'std':>13}"]
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


def _protocols(given: Sequence[str] | None) -> tuple[str, ...]:
    """The names, which may also be separated by commas."""
    return tuple(dict.fromkeys(name for text in given or () for name in text.split(",") if name))


def _default_protocols(others: Mapping[str, Paths]) -> tuple[str, ...]:
    """The protocols that the given folders allow."""
    chosen = tuple(name for kind in ("reference", "low") if kind in others for name in DEFAULT_PROTOCOLS[kind])
    return chosen or DEFAULT_PROTOCOLS["none"]


def _parser() -> argparse.ArgumentParser:
    parser = command_parser(
        "python -m ultrabm_jax.metrics",
        __doc__,
        epilog=f"protocols: {', '.join(METRICS)}; each also with a border to cut from every side, such as _crop4",
    )
    parser.add_argument(
        "restored", type=local_name, metavar="RESTORED_DIR", help="folder of the images to measure, or NAME=folder"
    )
    parser.add_argument(
        "reference", type=local_name, metavar="REFERENCE_DIR", nargs="?", help="folder of the references"
    )
    parser.add_argument(
        "--method", type=local_name, action="append", metavar="NAME=DIR", help="another method; repeat it for more"
    )
    parser.add_argument("--suffix", default="", help="end of the restored images' names, such as _mynet in 1_mynet.png")
    parser.add_argument("--protocols", nargs="+", metavar="NAME", help="default: depends on the given folders")
    parser.add_argument(
        "--low", type=local_name, metavar="LOW_DIR", help="folder of the low-light inputs, for loe and loe_100"
    )
    parser.add_argument("--allow-missing", action="store_true", help="measure the images that every folder has")
    parser.add_argument("--csv", type=local_name, metavar="FILE", help="write the scores of each image and the means")
    parser.add_argument(
        "--table", type=local_name, nargs="+", metavar="FILE", help="write means and intervals: .md, .tex or .csv"
    )
    parser.add_argument(
        "--json", type=local_name, metavar="FILE", help="write means, scores of each image, and what is incomplete"
    )
    workers = min(available_cores(), MAX_WORKERS)
    parser.add_argument("--workers", type=int, default=workers, help=f"threads, one image each; default: {workers}")
    parser.add_argument(
        "--assets", type=local_name, metavar="FOLDER", help="searched first for weights and models, as $ULTRABM_ASSETS"
    )
    return parser


if __name__ == "__main__":
    sys.exit(run(main))
