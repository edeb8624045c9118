"""The methods that a figure compares: folders of images, or an evaluation that wrote the images of all methods."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ultrabm_jax.cli import named_paths
from ultrabm_jax.errors import UserError
from ultrabm_jax.evaluation.written_images import FOLDER, INPUT, REFERENCE, folder_name
from ultrabm_jax.image import read_rgb_uint8
from ultrabm_jax.metrics.folders import Paths, list_named, pair
from ultrabm_jax.report.entry import evenly_spaced
from ultrabm_jax.report.evaluations import find_evaluations
from ultrabm_jax.report.summary import methods_of


@dataclass(frozen=True)
class Methods:
    """Images by method in the order of the figure, and the names of those to draw."""

    paths: dict[str, Paths]
    names: list[str]
    model: str  # the method that the figure is about: the last that is neither the input nor the reference

    def read(self, name: str) -> dict[str, np.ndarray]:
        """{method: (h, w, 3) uint8} of one image."""
        return {method: read_rgb_uint8(paths[name]) for method, paths in self.paths.items()}


def add_arguments(flags: argparse.ArgumentParser) -> None:
    """The arguments of `open_methods`."""
    flags.add_argument(
        "methods",
        nargs="+",
        metavar="NAME=FOLDER",
        help="images of a method, in the order of the figure; `input` and `reference` are special names. "
        "Or the folder of an evaluation with config.eval.images=all",
    )
    flags.add_argument("--images", nargs="+", metavar="IMAGE", help="default: --count images, evenly spaced")
    flags.add_argument("--count", type=int, default=4, help="images if --images is not given; default 4")
    flags.add_argument("--only", nargs="+", metavar="NAME", help="these methods, in this order")
    flags.add_argument("--model", help="method that the figure is about; default: the last one")


def open_methods(args: argparse.Namespace) -> Methods:
    """The methods and images of the command line. Raises UserError for missing folders, images and methods."""
    paths = _listed(args.methods)
    for name in args.only or ():
        if name not in paths:
            raise UserError(f"--only {name}: known: {', '.join(paths)}")
    paths = {name: paths[name] for name in args.only or paths}
    first, *others = paths
    common, _ = pair(paths[first], {name: paths[name] for name in others})
    for image in args.images or ():
        if image not in common:
            raise UserError(f"--images {image}: not in every folder; {', '.join(common[:8])} are")
    if args.count < 1:
        raise UserError(f"--count is at least 1, not {args.count}")
    names = list(args.images or [common[i] for i in evenly_spaced(len(common), args.count)])
    restored = [name for name in paths if name not in (INPUT, REFERENCE)]
    if args.model is not None and args.model not in restored:
        raise UserError(f"--model {args.model}: known: {', '.join(restored)}")
    return Methods(paths, names, args.model or (restored or list(paths))[-1])


def _listed(given: Sequence[str]) -> dict[str, Paths]:
    evaluations = [Path(text) for text in given if (Path(text) / "metrics.json").is_file()]
    others = [text for text in given if Path(text) not in evaluations]
    for text in others:
        if "=" not in text:
            raise UserError(f"{text}: no evaluation (metrics.json) found; the images of a method are NAME=FOLDER")
    named = named_paths(others, "a method")
    folders = {name: str(path) for folder in evaluations for name, path in _written(folder).items()}
    return {name: list_named(path) for name, path in {**folders, **named}.items()}


def _written(folder: Path) -> dict[str, Path]:
    """{method: folder of its images} of an evaluation: the input, the methods as in metrics.json, the reference."""
    if not (folder / FOLDER).is_dir():
        raise UserError(f"{folder}: has no {FOLDER}/; evaluate again with --config.eval.images=all")
    (evaluation,) = find_evaluations([str(folder)])[:1]
    first, *others = methods_of(evaluation.summary, evaluation.summary["model"])
    order = [INPUT, *others, first, REFERENCE]
    found = {name: folder / FOLDER / folder_name(name) for name in order}
    return {name: path for name, path in found.items() if path.is_dir()}
