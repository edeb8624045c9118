"""index.html of an evaluation: what was measured and how, the tables, the charts, and the images side by side.

The page is one file without external resources, readable on a phone and in print. Its script (page.js) moves the
sliders and sorts the tables; without it the page shows the same numbers and images. Values are labelled with the names
of their protocols.
"""

from __future__ import annotations

import html
import json
import string
from collections.abc import Mapping, Sequence
from pathlib import Path

from ultrabm_jax.image.write import write_file
from ultrabm_jax.metrics.score_table import Directions, Scores
from ultrabm_jax.report.entry import ImageEntry
from ultrabm_jax.report.html_tables import ImageScores, arrow, differences_table, images_table, methods_table
from ultrabm_jax.report.image_section import choices
from ultrabm_jax.report.line_charts import Series, line_chart, line_legend
from ultrabm_jax.report.selection import describe_checkpoint, selection_warning
from ultrabm_jax.report.summary import GroupSummary, Summary, incomplete_means, intervals_of, methods_of

HERE = Path(__file__).parent


def write_page(
    path: str | Path,
    summary: Summary,
    entries: Sequence[ImageEntry],
    log: Mapping[str, Series],
    *,
    higher_is_better: Directions,
    table: Sequence[ImageScores] | None = None,
) -> None:
    """Writes the page of `summary` to `path`.

    `entries` are the images that the page shows, `log` the curves of the training by key, and `table` the scores of all
    images: (name, group, {method: {protocol: value}}); None: those of `entries`.
    """
    model = summary["model"]
    methods = methods_of(summary, model)
    what = f"{len(methods)} methods" if summary["step"] is None and len(methods) > 1 else model
    title = f"{what} x{summary['scale']} on {summary['dataset']}"
    if table is None:
        table = [(entry.name, entry.group, entry.scores) for entry in entries]
    anchors = {entry.name: f"image-{k}" for k, entry in enumerate(entries, start=1)}
    page = string.Template(read_part("page.html")).substitute(
        css=read_part("page.css"),
        js=read_part("page.js"),
        title=html.escape(title),
        facts=_facts(summary),
        means=methods_table(
            methods,
            higher_is_better,
            model=model,
            std=summary["std"],
            intervals=intervals_of(summary),
        ),
        differences=_differences(summary, higher_is_better, model),
        unavailable=_incomplete(summary),
        groups=_groups(summary, higher_is_better),
        all=images_table(table, anchors, higher_is_better),
        training="" if summary["step"] is None else _training(log),
        shown=_introduction(entries, summary),
        images="".join(f'<section class="image" id="{anchors[r.name]}">{r.html}</section>' for r in entries),
        config=html.escape(json.dumps(summary["config"], indent=2)),
        speed=_listed("speed", summary.get("speed") or {}),
        versions=_listed("versions", summary["versions"]),
    )
    write_file(path, page.encode(errors="backslashreplace"))


def read_part(name: str) -> str:
    """A file of the page: page.css, page.js or page.html."""
    return (HERE / name).read_text(encoding="utf-8")


def _facts(summary: Summary) -> str:
    count = summary["count"]
    facts = [
        f"{count} image{'s' if count != 1 else ''}" + (f" of {summary['split']}" if "split" in summary else ""),
        f"{summary['seconds']:.0f} s on {', '.join(sorted(set(summary['devices'])))}",
    ]
    checkpoint, warning = describe_checkpoint(summary), selection_warning(summary)
    if checkpoint is not None:
        facts.insert(1, f"checkpoint of {checkpoint}")
    text = " · ".join(html.escape(fact) for fact in facts)
    return text if warning is None else f"{text}<br><b>Warning:</b> {html.escape(warning)}"


def _listed(title: str, values: Mapping[str, object]) -> str:
    parts = (
        f"{key} {value:,}" if isinstance(value, int | float) else f"{key} {value}" for key, value in values.items()
    )
    return f'<p class="note">{title}: {html.escape(", ".join(parts))}</p>' if values else ""


def _incomplete(summary: Summary) -> str:
    """Protocols without scores, means that lack images, and these images."""
    reasons = summary.get("unavailable", {}).items()
    items = [f"<li><b>{html.escape(p)}</b> is not available: {html.escape(why)}</li>" for p, why in reasons]
    items += [f"<li>{html.escape(line)}</li>" for line in incomplete_means(summary)]
    return f"<ul>{''.join(items)}</ul>" if items else ""


def _differences(part: Summary | GroupSummary, higher_is_better: Directions, model: str) -> str:
    """The paired differences of a summary or of a group of it."""
    differences = part.get("differences")
    if not differences:
        return ""
    return (
        "<details><summary>paired differences, with 95 % intervals</summary>"
        f"{differences_table(differences, higher_is_better, model=model)}</details>"
    )


def _groups(summary: Summary, higher_is_better: Directions) -> str:
    """Scores by exposure level, as in UltraBM's Figure 9: a chart for each protocol, and tables of the same values."""
    groups = summary.get("groups", {})
    if not groups:
        return ""
    model = summary["model"]
    means = {group: methods_of(part, model) for group, part in groups.items()}
    methods = list(methods_of(summary, model))
    charts = "".join(_level_chart(protocol, up, methods, means) for protocol, up in higher_is_better.items())
    tables = "".join(
        f"<h3>{html.escape(name)} <small>{part['count']} images</small></h3>"
        + methods_table(means[name], higher_is_better, model=model, intervals=part.get("intervals"))
        + _differences(part, higher_is_better, model)
        for name, part in groups.items()
    )
    return (
        f'<h2>By exposure level</h2>{line_legend(methods)}<div class="curves">{charts}</div>'
        f"<details><summary>tables by level</summary>{tables}</details>"
    )


def _level_chart(
    protocol: str, up: bool | None, methods: Sequence[str], means: Mapping[str, Mapping[str, Scores]]
) -> str:
    values = {m: [(k, part[m].get(protocol)) for k, part in enumerate(means.values())] for m in methods}
    series = {m: [(k, float(v)) for k, v in points if v is not None] for m, points in values.items()}
    finite = {m: [(k, v) for k, v in points if abs(v) < float("inf")] for m, points in series.items()}
    return line_chart(finite, title=f"{protocol} {arrow(up)}", marks=True, names=list(means), legend=False)


def _training(log: Mapping[str, Series]) -> str:
    """The curves of the run that was measured."""
    curves = _curves(log) or "<p>There is no train.jsonl in the workdir, so there are no curves.</p>"
    return f'<h2>Training</h2><div class="curves">{curves}</div>'


def _curves(log: Mapping[str, Series]) -> str:
    losses = {key.removeprefix("loss/"): points for key, points in log.items() if key.startswith("loss/")}
    charts = [line_chart(losses, title="training loss by term, over steps", log=True)]
    for key, points in log.items():
        if key.startswith("eval/"):
            title = f"{key.removeprefix('eval/')} on evaluation images, over steps"
            charts.append(line_chart({key: points}, title=title, marks=True))
    return "".join(charts)


def _introduction(entries: Sequence[ImageEntry], summary: Summary) -> str:
    if not entries:
        return ""
    count = summary["count"]
    some = f"{len(entries)} of {count} images, evenly spaced; all are in restored/. " if len(entries) < count else ""
    lists = choices(entries[0].sources, summary["model"])
    return (
        f'<p class="note">{some}<span class="hint">Drag the line or move it with the arrow keys. Charts show the '
        f"images selected for left and right.</span></p>"
        f'<div class="choices" id="choices">in all images: {lists}</div>'
    )
