"""One image's part of the page: slider, charts, and a strip with a column of evidence for each source.

Everything that belongs to one source has its name in `data-of`; the page's script marks the two that the slider
compares with the classes `left` and `right`. Without script the page shows the input and the model.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

from ultrabm_jax.report.charts import density_chart, image_charts
from ultrabm_jax.report.error_maps import legend_css
from ultrabm_jax.report.evidence import Evidence
from ultrabm_jax.report.sortable import Scores, score


def image_section(
    name: str, link: str, shown: Evidence, scores: Mapping[str, Scores], *, group: str | None = None
) -> str:
    title = html.escape(name) + (f" <small>{html.escape(group)}</small>" if group is not None else "")
    columns = "".join(_column(shown, source, scores.get(source, {})) for source in shown.views)
    height, width = shown.size
    return (
        f'<h3>{title}</h3><div class="pair"><div>{_choices(shown)}{_slider(shown, name)}'
        f'<p class="note"><a href="{html.escape(link)}">restored PNG</a>, {width} x {height} pixels; '
        f"the slider has compressed copies</p></div>"
        f'<div class="charts">{image_charts(shown)}</div></div>'
        f'{_explained(shown)}<div class="strip" tabindex="0" role="region" aria-label="regions, errors and scores">'
        f"{columns}</div>"
    )


def choices(sources: Sequence[str], model: str) -> str:
    """The two lists of sources, left and right of the slider."""
    parts = []
    for side, chosen in (("left", "input"), ("right", model)):
        options = (f"<option{' selected' if s == chosen else ''}>{html.escape(s)}</option>" for s in sources)
        names = f'<select data-side="{side}" autocomplete="off">{"".join(options)}</select>'
        parts.append(f'<label><i class="key {side}"></i>{side} {names}</label>')
    return "".join(parts)


def _choices(shown: Evidence) -> str:
    reference = '<span><i class="key ref"></i>reference</span>' if "reference" in shown.views else ""
    marks = '<label><input type="checkbox" class="marks" checked> regions and line</label>'
    return f'<div class="choices">{choices(list(shown.views), shown.model)}{reference}{marks}</div>'


def _slider(shown: Evidence, name: str) -> str:
    height, width = shown.size
    views = "".join(
        f'<img class="{shown.side(source)}" data-of="{html.escape(source)}" src="{uri}" alt="{html.escape(source)}">'
        for source, uri in shown.views.items()
    )
    marks = "".join(
        f'<b class="mark" style="left:{r.x / width:.2%};top:{r.y / height:.2%};width:{r.side / width:.2%};'
        f'height:{r.side / height:.2%}">{k}</b>'
        for k, r in enumerate(shown.regions, start=1)
    )
    label = html.escape(f"{name}: where the left image ends")
    return (
        f'<div class="compare" style="aspect-ratio:{width}/{height}">{views}{marks}'
        f'<hr class="mark" style="top:{(shown.line + 0.5) / height:.2%}">'
        f'<input type="range" min="0" max="100" value="50" autocomplete="off" aria-label="{label}">'
        f'<span class="handle"></span></div>'
    )


def _explained(shown: Evidence) -> str:
    """What the rows of the strip are."""
    parts = ["density of R, G and B from 0 to 255, each to its own height."]
    if shown.errors:
        scale = f'0 <i class="scale" style="background:{legend_css()}"></i> {shown.error_end} and more, of 255'
        parts.insert(0, f"error |restored - reference|, mean over RGB: {scale}")
    if shown.regions:
        regions = ", ".join(f"<b>{k}</b> {html.escape(r.why)}" for k, r in enumerate(shown.regions, start=1))
        parts.insert(0, f"Regions of {shown.regions[0].side} pixels, full resolution: {regions}")
    return f'<p class="note">{"; ".join(parts)}</p>'


def _column(shown: Evidence, source: str, scores: Scores) -> str:
    """Crops, error map, density and scores of one source."""
    name = html.escape(source)
    crops = "".join(
        f'<span class="crop"><img src="{uri}" alt="{name}, region {k}"><b>{k}</b></span>'
        for k, uri in enumerate(shown.crops[source], start=1)
    )
    shape = f'style="aspect-ratio:{shown.size[1]}/{shown.size[0]}"'
    error = f'<span class="blank" {shape}></span>' if shown.errors else ""
    if source in shown.errors:
        error = f'<img src="{shown.errors[source]}" alt="error of {name}" {shape}>'
    known = ((p, value) for p, value in scores.items() if value is not None)
    values = "".join(f"<dt>{html.escape(p)}</dt><dd>{score(p, value)}</dd>" for p, value in known)
    return (
        f'<figure class="{f"source {shown.side(source)}".strip()}" data-of="{name}"><figcaption>{name}</figcaption>'
        f"{crops}{error}{density_chart(shown, source)}<dl>{values}</dl></figure>"
    )
