"""The section of one image: slider, charts, and a strip with a column for each source.

Every element of a source has its name in `data-of`; the page's script gives the elements of the two compared sources
the classes `left` and `right`. Without script, the page compares the input with the model.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

from ultrabm_jax.metrics.score_table import Scores
from ultrabm_jax.report.error_maps import legend_css
from ultrabm_jax.report.figures import ImageFigures
from ultrabm_jax.report.html_tables import score
from ultrabm_jax.report.image_charts import density_chart, image_charts


def image_section(
    name: str, link: str, figures: ImageFigures, scores: Mapping[str, Scores], *, group: str | None = None
) -> str:
    """`link` is the path of the restored PNG, `scores` are by method."""
    title = html.escape(name) + (f" <small>{html.escape(group)}</small>" if group is not None else "")
    columns = "".join(_column(figures, source, scores.get(source, {})) for source in figures.views)
    height, width = figures.size
    return (
        f'<h3>{title}</h3><div class="pair"><div>{_choices(figures)}{_slider(figures, name)}'
        f'<p class="note"><a href="{html.escape(link)}">restored PNG</a>, {width} x {height} pixels; '
        f"the slider shows compressed copies</p></div>"
        f'<div class="charts">{image_charts(figures)}</div></div>'
        f'{_legend(figures)}<div class="strip" tabindex="0" role="region" aria-label="regions, errors and scores">'
        f"{columns}</div>"
    )


def choices(sources: Sequence[str], right: str, *, left: str = "input") -> str:
    """The two drop-down lists of sources, for the left and right of the slider, and what they show first."""
    parts = []
    for side, chosen in (("left", left), ("right", right)):
        options = (f"<option{' selected' if s == chosen else ''}>{html.escape(s)}</option>" for s in sources)
        names = f'<select data-side="{side}" autocomplete="off">{"".join(options)}</select>'
        parts.append(f'<label><i class="key {side}"></i>{side} {names}</label>')
    return "".join(parts)


def _choices(figures: ImageFigures) -> str:
    reference = '<span><i class="key ref"></i>reference</span>' if "reference" in figures.views else ""
    marks = '<label><input type="checkbox" class="marks" checked> regions and line</label>'
    return f'<div class="choices">{choices(list(figures.views), figures.model)}{reference}{marks}</div>'


def _slider(figures: ImageFigures, name: str) -> str:
    height, width = figures.size
    views = "".join(
        f'<img class="{figures.side(source)}" data-of="{html.escape(source)}" src="{uri}" alt="{html.escape(source)}">'
        for source, uri in figures.views.items()
    )
    marks = "".join(
        f'<b class="mark" style="left:{r.x / width:.2%};top:{r.y / height:.2%};width:{r.side / width:.2%};'
        f'height:{r.side / height:.2%}">{k}</b>'
        for k, r in enumerate(figures.regions, start=1)
    )
    label = html.escape(f"{name}: where the left image ends")
    return (
        f'<div class="compare" style="aspect-ratio:{width}/{height}">{views}{marks}'
        f'<hr class="mark" style="top:{(figures.line + 0.5) / height:.2%}">'
        f'<input type="range" min="0" max="100" value="50" autocomplete="off" aria-label="{label}">'
        f'<span class="handle"></span></div>'
    )


def _legend(figures: ImageFigures) -> str:
    """Explains the rows of the strip."""
    parts = ["density of R, G and B from 0 to 255, each with its own vertical scale."]
    if figures.errors:
        scale = f'0 <i class="scale" style="background:{legend_css()}"></i> {figures.error_end} or more, of 255'
        parts.insert(0, f"error |restored - reference|, mean over RGB: {scale}")
    if figures.regions:
        regions = ", ".join(f"<b>{k}</b> {html.escape(r.why)}" for k, r in enumerate(figures.regions, start=1))
        parts.insert(0, f"Regions of {figures.regions[0].side} pixels, full resolution: {regions}")
    return f'<p class="note">{"; ".join(parts)}</p>'


def _column(figures: ImageFigures, source: str, scores: Scores) -> str:
    """Crops, error map, densities and scores of one source."""
    name = html.escape(source)
    crops = "".join(
        f'<span class="crop"><img src="{uri}" alt="{name}, region {k}"><b>{k}</b></span>'
        for k, uri in enumerate(figures.crops[source], start=1)
    )
    shape = f'style="aspect-ratio:{figures.size[1]}/{figures.size[0]}"'
    error = f'<span class="blank" {shape}></span>' if figures.errors else ""
    if source in figures.errors:
        error = f'<img src="{figures.errors[source]}" alt="error of {name}" {shape}>'
    known = ((p, value) for p, value in scores.items() if value is not None)
    values = "".join(f"<dt>{html.escape(p)}</dt><dd>{score(p, value)}</dd>" for p, value in known)
    return (
        f'<figure class="{f"source {figures.side(source)}".strip()}" data-of="{name}">'
        f'<figcaption title="{name}">{name}</figcaption>'  # the title: long names of cascades are cut off
        f"{crops}{error}{density_chart(figures, source)}<dl>{values}</dl></figure>"
    )
