"""Draws the colour ratio maps of one scene at several exposures, and how much each differs from the last one.

    python -m ultrabm_jax.figures colour_ratio a=DARK.png b=LESS_DARK.png reference=BRIGHT.png --output FIGURE.png
    python -m ultrabm_jax.figures colour_ratio BRIGHT.png --ev -5 -4 -2.5 --output FIGURE.png

This is LoLiSRFlow's figure of colour ratio maps: CR(I) = I / sum(I) hardly depends on the exposure. With RELLISUR, the
files are LLLR/NNNNN-E.E.png of one scene and NLHR/X2/NNNNN.png. With --ev, the exposures are made from one photo by
synthetic darkness (docs/data.md), with the mean noise of its range. Below each map is its mean absolute difference
from the last one, which is reduced to the size of the map. Maps are shown times 2: gray is 170.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from ultrabm_jax.cli import local_name, named_paths
from ultrabm_jax.config.data import darkness as default_darkness
from ultrabm_jax.errors import UserError
from ultrabm_jax.figures.cells import beside, fit_width, stacked, text_cell
from ultrabm_jax.figures.panels import colour_ratio_image, ratio_of
from ultrabm_jax.image import read_rgb_uint8
from ultrabm_jax.image.darkness import Darkness, darken


def draw_colour_ratios(images: Mapping[str, np.ndarray], *, width: int) -> np.ndarray:
    """{exposure: (h, w, 3) uint8}, the brightest last -> the figure; sizes may differ by a factor."""
    *_, last = images.values()
    columns = []
    for name, image in images.items():
        difference = mean_difference(image, last)
        note = "" if image is last else f"mean difference {difference:.4f}"
        columns.append(
            stacked(
                [
                    text_cell(name, width),
                    fit_width(image, width),
                    fit_width(colour_ratio_image(image), width),
                    text_cell(note, width),
                ]
            )
        )
    return beside(columns)


def mean_difference(image: np.ndarray, reference: np.ndarray) -> float:
    """The mean absolute difference of the colour ratio maps of two uint8 images.

    The larger image is reduced by averaging. Raises UserError if the proportions of the sides differ.
    """
    (h, w), (height, width) = image.shape[:2], reference.shape[:2]
    if abs(h * width - w * height) > max(h * width, w * height) * 0.02:
        raise UserError(f"the images are not of one scene: {w}x{h} and {width}x{height} pixels")
    size = (min(w, width), min(h, height))
    first, second = (
        ratio_of(np.asarray(Image.fromarray(x).resize(size, Image.Resampling.BOX))) for x in (image, reference)
    )
    return float(np.abs(first - second).mean())


def exposures(image: np.ndarray, ev: list[float], *, seed: int = 0) -> dict[str, np.ndarray]:
    """Dark versions of (h, w, 3) uint8 by EV, darkest first, and the image as "reference"."""
    options = default_darkness()
    shot = math.sqrt(options.shot_noise[0] * options.shot_noise[1])
    read = math.exp(options.read_noise_slope * math.log(shot) + options.read_noise_offset)
    found = {}
    for k, value in enumerate(sorted(ev)):
        rng = np.random.default_rng((seed, k))
        found[f"{value:g} EV"] = darken(image, Darkness(value, shot, read), scale=1, bits=options.bits, rng=rng)
    return {**found, "reference": image}


def add_arguments(flags: argparse.ArgumentParser) -> None:
    """The command's flags."""
    flags.add_argument(
        "photos", type=local_name, nargs="+", metavar="NAME=FILE", help="exposures of one scene, the brightest last"
    )
    flags.add_argument("--ev", nargs="+", type=float, help="make these exposures from the one FILE instead")
    flags.add_argument("--width", type=int, default=280, help="of an image in the figure, in pixels; default 280")


def draw(args: argparse.Namespace) -> np.ndarray:
    """The figure of the command line."""
    if args.width < 16:
        raise UserError("--width is at least 16")
    if args.ev is None:
        named = named_paths(args.photos, "an exposure")
        if len(named) < 2:
            raise UserError("give at least two exposures NAME=FILE, or one FILE and --ev")
        return draw_colour_ratios({name: read_rgb_uint8(Path(path)) for name, path in named.items()}, width=args.width)
    if len(args.photos) != 1:
        raise UserError(f"--ev makes the exposures from one photo, not from {len(args.photos)}")
    return draw_colour_ratios(exposures(read_rgb_uint8(Path(args.photos[0])), args.ev), width=args.width)
