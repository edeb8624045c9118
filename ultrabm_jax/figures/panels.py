"""What a grid shows below each image: charts and maps of one image, on scales that all methods of a row share.

    profile       Y along the marked row, over that of the reference (gray)      UltraBM, Figures 5 and 6
    difference    Y along the marked row minus that of the reference             UltraBM, Figures 5 and 6
    density       densities of R, G and B                                       UltraBM, Figure 7
    histogram     histogram of Y, smoothed, over that of the reference (gray)    DRGN, Figure 6
    error         |method - reference|, mean over R, G and B                     ours
    colour_ratio  each channel's share of R + G + B, times 2                     LoLiSRFlow

Deviation from UltraBM: the line is a whole row of the image, not a segment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import jax.numpy as jnp
import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.evaluation.written_images import INPUT, REFERENCE
from ultrabm_jax.figures.cells import COLOURS, FAINT, Colour, fit_width, stacked, text_cell
from ultrabm_jax.figures.plots import Axis, Plot
from ultrabm_jax.layers.colour_ratio import colour_ratio
from ultrabm_jax.report.curves import Curves, curves_of
from ultrabm_jax.report.error_maps import error_maps, round_up

Cells: TypeAlias = Mapping[str, np.ndarray]  # method: a cell of the grid
HEIGHT_SHARE = 0.45  # of a chart, of its width
LEAST_HEIGHT = 40  # pixels, for the labels and some of the chart
CHANNELS: tuple[Colour, ...] = ((214, 39, 40), (44, 140, 44), (31, 99, 181))


def draw_panel(kind: str, images: Mapping[str, np.ndarray], *, model: str, row: int, width: int) -> Cells:
    """The cells of `kind` for the methods of one image, `width` pixels wide.

    `images` are (h, w, 3) uint8; `row` is a row of the image of `model`. Methods without a cell, such as the
    reference in `difference`, are left out. Raises UserError for an unknown kind or without a needed reference.
    """
    if kind not in PANELS:
        raise UserError(f"unknown chart {kind!r}; known: {', '.join(PANELS)}")
    if kind in ("difference", "error") and REFERENCE not in images:
        raise UserError(f"the chart {kind} compares with the method {REFERENCE}; add {REFERENCE}=FOLDER")
    return PANELS[kind](images, model, row, width)


def all_curves(images: Mapping[str, np.ndarray], model: str, row: int) -> dict[str, Curves]:
    """The curves of each method; `row` is a row of the image of `model`."""
    height, width = images[model].shape[:2]
    return {name: curves_of(image, row, (height, width)) for name, image in images.items()}


def largest(lines: Mapping[str, np.ndarray]) -> float:
    """The largest magnitude of all curves but the input's, which would flatten the others; of a single one, its own."""
    return max(float(np.abs(line).max()) for name, line in lines.items() if name != INPUT or len(lines) == 1)


def ratio_of(image: np.ndarray) -> np.ndarray:
    """The colour ratio map of (h, w, 3) uint8, float32."""
    return np.asarray(colour_ratio(jnp.asarray(image[None], jnp.float32) / 255))[0]


def colour_ratio_image(image: np.ndarray) -> np.ndarray:
    """The colour ratio map of (h, w, 3) uint8 as uint8, times 2: gray is 170, a share above a half is 255."""
    return (np.clip(2 * ratio_of(image), 0, 1) * 255).round().astype(np.uint8)


def _profile(images: Mapping[str, np.ndarray], model: str, row: int, width: int) -> Cells:
    lines = {name: curves.profile for name, curves in all_curves(images, model, row).items()}
    return _over_reference(lines, Axis(0, images[model].shape[1] - 1, ticks=False), Axis(16, 235), width, inside=True)


def _histogram(images: Mapping[str, np.ndarray], model: str, row: int, width: int) -> Cells:
    lines = {name: curves.histogram for name, curves in all_curves(images, model, row).items()}
    return _over_reference(lines, Axis(16, 235), Axis(0, 1.1 * largest(lines), ticks=False), width)


def _difference(images: Mapping[str, np.ndarray], model: str, row: int, width: int) -> Cells:
    profiles = {name: curves.profile for name, curves in all_curves(images, model, row).items()}
    lines = {name: profile - profiles[REFERENCE] for name, profile in profiles.items() if name != REFERENCE}
    end = round_up(largest(lines))
    cells = {}
    for name, line in lines.items():
        plot = Plot(_size(width), Axis(0, images[model].shape[1] - 1, ticks=False), Axis(-end, end), inside=True)
        plot.horizontal(0)
        plot.line(_points(line, 0, images[model].shape[1] - 1), COLOURS[0])
        cells[name] = plot.image()
    return cells


def _density(images: Mapping[str, np.ndarray], model: str, row: int, width: int) -> Cells:
    """Each chart has its own vertical scale: dark images fill few bins."""
    cells = {}
    for name, curves in all_curves(images, model, row).items():
        plot = Plot(_size(width), Axis(0, 255), Axis(0, 1.05 * float(curves.density.max()), ticks=False))
        for colour, values in zip(CHANNELS, curves.density, strict=True):
            plot.area(_points(values, 0, 255), colour)
            plot.line(_points(values, 0, 255), colour)
        cells[name] = plot.image()
    return cells


def _error(images: Mapping[str, np.ndarray], model: str, row: int, width: int) -> Cells:
    maps, end = error_maps(images, model)
    note = text_cell(f"black 0, yellow {end} and more", width, size=11)
    return {name: stacked([fit_width(image, width), note], gap=1) for name, image in maps.items()}


def _colour_ratio(images: Mapping[str, np.ndarray], model: str, row: int, width: int) -> Cells:
    return {name: fit_width(colour_ratio_image(image), width) for name, image in images.items()}


def _over_reference(lines: Mapping[str, np.ndarray], x: Axis, y: Axis, width: int, *, inside: bool = False) -> Cells:
    cells = {}
    for name, line in lines.items():
        plot = Plot(_size(width), x, y, inside=inside)
        if REFERENCE in lines:
            plot.line(_points(lines[REFERENCE], x.low, x.high), FAINT)
        if name != REFERENCE:
            plot.line(_points(line, x.low, x.high), COLOURS[0])
        cells[name] = plot.image()
    return cells


def _points(values: np.ndarray, first: float, last: float) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in zip(np.linspace(first, last, len(values)), values, strict=True)]


def _size(width: int) -> tuple[int, int]:
    return width, max(LEAST_HEIGHT, round(HEIGHT_SHARE * width))


PANELS: Mapping[str, Callable[[Mapping[str, np.ndarray], str, int, int], Cells]] = {
    "profile": _profile,
    "difference": _difference,
    "density": _density,
    "histogram": _histogram,
    "error": _error,
    "colour_ratio": _colour_ratio,
}
