"""index.html of an evaluation: what was measured and how, the tables, the charts, and the images side by side.

One file with no external resource, readable on a phone and on paper. Its script (page.js) moves the sliders and sorts
the tables; without it the page shows the same numbers and images. Every value stands under its protocol's name.
"""

from __future__ import annotations

import html
import json
import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ultrabm_jax.report.row import Row
from ultrabm_jax.report.section import choices
from ultrabm_jax.report.sortable import ImageScores, Scores, arrow, images_table, methods_table
from ultrabm_jax.report.svg import Series, line_chart, line_legend

HERE = Path(__file__).parent


def write_page(
    path: str | Path,
    summary: Mapping[str, Any],
    rows: Sequence[Row],
    log: Mapping[str, Series],
    *,
    higher_is_better: Mapping[str, bool],
    table: Sequence[ImageScores] | None = None,
) -> None:
    """Writes the page of `summary` (the content of metrics.json).

    `rows` are the images shown, `table` the scores of all: (name, group, {method: {protocol: value}}).
    """
    model = summary["model"]
    title = f"{model} x{summary['scale']} on {summary['dataset']}"
    if table is None:
        table = [(row.name, row.group, row.scores) for row in rows]
    anchors = {row.name: f"image-{k}" for k, row in enumerate(rows, start=1)}
    page = string.Template(_read("page.html")).substitute(
        css=_read("page.css"),
        js=_read("page.js"),
        title=html.escape(title),
        facts=_facts(summary),
        means=methods_table(
            _means(summary, summary),
            higher_is_better,
            model=model,
            std=summary["std"],
            ci95=summary.get("ci95"),
        ),
        unavailable=_unavailable(summary.get("unavailable", {})),
        groups=_groups(summary, higher_is_better),
        all=images_table(table, anchors, higher_is_better),
        curves=_curves(log) or "<p>No train.jsonl in the workdir: no curves.</p>",
        shown=_shown(rows, summary),
        images="".join(f'<section class="image" id="{anchors[r.name]}">{r.html}</section>' for r in rows),
        config=html.escape(json.dumps(summary["config"], indent=2)),
        speed=_listed("speed", summary.get("speed") or {}),
        versions=_listed("versions", summary["versions"]),
    )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")


def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _means(summary: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Scores]:
    return {summary["model"]: part["mean"], **part["baselines"]}


def _facts(summary: Mapping[str, Any]) -> str:
    count = summary["count"]
    facts = [
        f"{count} image{'s' if count != 1 else ''}",
        f"{summary['seconds']:.0f} s on {', '.join(sorted(set(summary['devices'])))}",
    ]
    if summary.get("step") is not None:
        facts.insert(1, f"checkpoint of step {summary['step']:,}")
    return " · ".join(html.escape(fact) for fact in facts)


def _listed(title: str, values: Mapping[str, Any]) -> str:
    parts = (
        f"{key} {value:,}" if isinstance(value, int | float) else f"{key} {value}" for key, value in values.items()
    )
    return f'<p class="note">{title}: {html.escape(", ".join(parts))}</p>' if values else ""


def _unavailable(reasons: Mapping[str, str]) -> str:
    items = [f"<li><b>{html.escape(p)}</b> is not available: {html.escape(why)}</li>" for p, why in reasons.items()]
    return f"<ul>{''.join(items)}</ul>" if items else ""


def _groups(summary: Mapping[str, Any], higher_is_better: Mapping[str, bool]) -> str:
    """Scores by exposure level, as UltraBM's Figure 9: a chart for each protocol, and the tables behind them."""
    groups = summary.get("groups", {})
    if not groups:
        return ""
    means = {group: _means(summary, part) for group, part in groups.items()}
    methods = list(_means(summary, summary))
    charts = "".join(_level_chart(protocol, up, methods, means) for protocol, up in higher_is_better.items())
    tables = "".join(
        f"<h3>{html.escape(name)} <small>{part['count']} images</small></h3>"
        + methods_table(means[name], higher_is_better, model=summary["model"])
        for name, part in groups.items()
    )
    return (
        f'<h2>By exposure level</h2>{line_legend(methods)}<div class="curves">{charts}</div>'
        f"<details><summary>tables by level</summary>{tables}</details>"
    )


def _level_chart(protocol: str, up: bool, methods: Sequence[str], means: Mapping[str, Mapping[str, Scores]]) -> str:
    values = {m: [(k, part[m].get(protocol)) for k, part in enumerate(means.values())] for m in methods}
    series = {m: [(k, float(v)) for k, v in points if v is not None] for m, points in values.items()}
    finite = {m: [(k, v) for k, v in points if abs(v) < float("inf")] for m, points in series.items()}
    return line_chart(finite, title=f"{protocol} {arrow(up)}", marks=True, names=list(means), legend=False)


def _curves(log: Mapping[str, Series]) -> str:
    losses = {key.removeprefix("loss/"): points for key, points in log.items() if key.startswith("loss/")}
    charts = [line_chart(losses, title="training loss by term, over steps", log=True)]
    for key, points in log.items():
        if key.startswith("eval/"):
            title = f"{key.removeprefix('eval/')} on evaluation images, over steps"
            charts.append(line_chart({key: points}, title=title, marks=True))
    return "".join(charts)


def _shown(rows: Sequence[Row], summary: Mapping[str, Any]) -> str:
    if not rows:
        return ""
    count = summary["count"]
    part = "" if len(rows) == count else f"{len(rows)} of {count} images, evenly spread; all are in restored/. "
    lists = choices(rows[0].sources, summary["model"])
    return (
        f'<p class="note">{part}<span class="hint">Drag the line, or move it with the arrow keys. Charts follow the '
        f'choice of left and right.</span></p><div class="choices" id="choices">in all images: {lists}</div>'
    )
