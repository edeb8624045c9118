"""The charts of an image. They contain the lines of all sources; the page's script shows the two being compared.

The reference is always shown. Without script, the input and the model are shown. Scales are chosen for the model; the
input, which is much darker, may exceed them. Labels are HTML beside the stretched SVG, so that they are readable at any
width.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

import numpy as np

from ultrabm_jax.report.error_maps import round_up
from ultrabm_jax.report.figures import ImageFigures
from ultrabm_jax.report.line_charts import path

CHART = (512, 160)  # width and height of a chart's coordinates
DENSITY = (128, 64)


def image_charts(figures: ImageFigures) -> str:
    """Histogram of Y, profile along the line and, with a reference, the profile's error."""
    charts = _histogram(figures) + _profile(figures)
    return charts + _difference(figures) if "reference" in figures.curves else charts


def density_chart(figures: ImageFigures, source: str) -> str:
    """Densities of R, G and B of one source. Each chart has its own vertical scale: dark images fill few bins."""
    density = figures.curves[source].density
    high = 1.05 * float(density.max())
    paths = "".join(
        f'<path class="{channel}" d="{path(values, low=0, high=high, size=DENSITY, area=True)}"/>'
        for channel, values in zip("rgb", density, strict=True)
    )
    label = html.escape(f"density of R, G and B of {source}")
    return f'<svg class="density" {_view(DENSITY)} aria-label="{label}">{paths}</svg>'


def _histogram(figures: ImageFigures) -> str:
    """Histogram of Y. The input's peak may be far above the others and is cut off, so that they can be read."""
    shares = {source: curves.histogram for source, curves in figures.curves.items()}
    high = 1.1 * max(float(values.max()) for source, values in shares.items() if source != "input")
    lines = {source: path(values, low=0, high=high, size=CHART) for source, values in shares.items()}
    title = "histogram of Y (share of the pixels, smoothed)"
    return _chart(figures, lines, title, up=("", ""), across=("16", "Y", "235"))


def _profile(figures: ImageFigures) -> str:
    lines = {source: path(curves.profile, low=16, high=235, size=CHART) for source, curves in figures.curves.items()}
    return _chart(figures, lines, f"Y along the line (row {figures.line})", up=("235", "16"), across=_columns(figures))


def _difference(figures: ImageFigures) -> str:
    reference = figures.curves["reference"].profile
    errors = {source: curves.profile - reference for source, curves in figures.curves.items() if source != "reference"}
    end = round_up(float(np.abs(errors[figures.model]).max()))
    lines = {source: path(values, low=-end, high=end, size=CHART) for source, values in errors.items()}
    title = "Y along the line, minus that of the reference"
    return _chart(figures, lines, title, up=(f"+{end}", f"-{end}"), across=_columns(figures), zero=True)


def _columns(figures: ImageFigures) -> tuple[str, str, str]:
    return "0", "column", str(figures.size[1] - 1)


def _chart(
    figures: ImageFigures,
    lines: Mapping[str, str],
    title: str,
    *,
    up: Sequence[str],
    across: Sequence[str],
    zero: bool = False,
) -> str:
    """`up`: labels at the top and bottom; `across`: left, middle and right; `zero`: a line at half the height."""
    kinds = {source: f"of {figures.side(source)}".strip() for source in lines}
    paths = "".join(f'<path class="{kinds[s]}" data-of="{html.escape(s)}" d="{d}"/>' for s, d in lines.items())
    middle = f'<path class="grid" d="M0 {CHART[1] // 2}h{CHART[0]}"/>' if zero else ""
    labels = "".join(f"<span>{label}</span>" for label in across)
    return (
        f'<figure class="chart"><figcaption>{title}</figcaption>'
        f'<div class="up"><span>{up[0]}</span><span>{up[1]}</span></div>'
        f'<svg {_view(CHART)} aria-label="{title}">{middle}{paths}</svg><div class="across">{labels}</div></figure>'
    )


def _view(size: tuple[int, int]) -> str:
    return f'viewBox="0 0 {size[0]} {size[1]}" preserveAspectRatio="none" role="img"'
