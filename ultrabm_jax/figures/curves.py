"""Draws a chart for each image with the curves of all methods.

    python -m ultrabm_jax.figures curves kind=A ours=B reference=HIGH --of histogram --output FIGURE.png

--of histogram is DRGN's Figure 6 (histogram of Y, smoothed); profile and difference are the lower parts of UltraBM's
Figures 5 and 6 with all methods in one chart.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.evaluation.written_images import INPUT, REFERENCE
from ultrabm_jax.figures import methods
from ultrabm_jax.figures.cells import COLOURS, INK, Colour, beside, legend, stacked
from ultrabm_jax.figures.panels import all_curves, largest
from ultrabm_jax.figures.plots import Axis, Plot
from ultrabm_jax.report.error_maps import round_up
from ultrabm_jax.report.regions import choose_regions, textured_row

KINDS = ("histogram", "profile", "difference")
SIZE = (360, 240)


def draw_curves(scenes: Mapping[str, Mapping[str, np.ndarray]], *, of: str, model: str, columns: int = 2) -> np.ndarray:
    """{image: {method: (h, w, 3) uint8}} -> the figure; the reference is black, the others have a colour each."""
    colours = _colours(next(iter(scenes.values())))
    charts = [_chart(name, images, of, model, colours) for name, images in scenes.items()]
    rows = [beside(charts[k : k + columns]) for k in range(0, len(charts), columns)]
    shown = [name for name in colours if of != "difference" or name != REFERENCE]
    keys = legend(shown, [colours[name] for name in shown], rows[0].shape[1])
    return stacked([*rows, keys], gap=8)


def _chart(
    name: str, images: Mapping[str, np.ndarray], of: str, model: str, colours: Mapping[str, Colour]
) -> np.ndarray:
    height, width = images[model].shape[:2]
    regions = choose_regions({INPUT: next(iter(images.values())), **images}, model)
    row = textured_row(regions, height)
    curves = all_curves(images, model, row)
    if of == "histogram":
        lines = {method: own.histogram for method, own in curves.items()}
        x, y = Axis(16, 235, "Y"), Axis(0, 1.1 * largest(lines), "share of the pixels")
    else:
        lines = {method: own.profile for method, own in curves.items()}
        x, y = Axis(0, width - 1, f"column, in row {row}"), Axis(16, 235, "Y")
    if of == "difference":
        if REFERENCE not in lines:
            raise UserError(f"--of difference compares with the method {REFERENCE}; add {REFERENCE}=FOLDER")
        reference = lines.pop(REFERENCE)
        lines = {method: values - reference for method, values in lines.items()}
        end = round_up(largest(lines))
        y = Axis(-end, end, "Y minus that of the reference")
    plot = Plot(SIZE, x, y, title=name)
    for method in sorted(lines, key=lambda m: (m == REFERENCE, m == model)):  # the most important ones on top
        values = lines[method]
        places = np.linspace(x.low, x.high, len(values))
        plot.line([(float(a), float(b)) for a, b in zip(places, values, strict=True)], colours[method])
    return plot.image()


def _colours(images: Sequence[str] | Mapping[str, np.ndarray]) -> dict[str, Colour]:
    others = [name for name in images if name != REFERENCE]
    found = {name: COLOURS[k % len(COLOURS)] for k, name in enumerate(others)}
    return {**found, REFERENCE: INK} if REFERENCE in images else found


def add_arguments(flags: argparse.ArgumentParser) -> None:
    """The command's flags."""
    methods.add_arguments(flags)
    flags.add_argument("--of", choices=KINDS, default="histogram", help="default: histogram")
    flags.add_argument("--columns", type=int, default=2, help="charts in a row; default 2")


def draw(args: argparse.Namespace) -> np.ndarray:
    """The figure of the command line."""
    if args.columns < 1:
        raise UserError(f"--columns is at least 1, not {args.columns}")
    chosen = methods.open_methods(args)
    scenes = {name: chosen.read(name) for name in chosen.names}
    return draw_curves(scenes, of=args.of, model=chosen.model, columns=args.columns)
