"""index.html of an evaluation: what was measured and how, the table, the pictures side by side, the curves.

One file with no external resource and no script, readable on a phone. Every value stands under its protocol's name.
"""

from __future__ import annotations

import dataclasses
import html
import json
import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ultrabm_jax.report.svg import Series, line_chart

TEMPLATE = Path(__file__).parent / "page.html"

Scores = Mapping[str, Any]  # protocol: value; None where it is not available


@dataclasses.dataclass(frozen=True)
class Row:
    """One picture of the page."""

    name: str
    link: str  # the restored PNG, relative to the page
    thumbnails: Mapping[str, str]  # "input", "reference" and each method: data URI
    scores: Mapping[str, Scores]  # method: scores


def write_page(
    path: str | Path,
    summary: Mapping[str, Any],
    rows: Sequence[Row],
    log: Mapping[str, Series],
    *,
    higher_is_better: Mapping[str, bool],
) -> None:
    """Writes the page of `summary` (the content of metrics.json)."""
    model = summary["model"]
    title = f"{model} x{summary['scale']} on {summary['dataset']}"
    means = {model: summary["mean"], **summary["baselines"]}
    rival = best_baseline(summary, higher_is_better)
    page = string.Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=html.escape(title),
        facts=_facts(summary),
        table=_table(means, higher_is_better, {model: summary["std"]}),
        unavailable=_unavailable(summary.get("unavailable", {})),
        groups=_groups(summary, higher_is_better),
        curves=_curves(log) or "<p>No train.jsonl in the workdir: no curves.</p>",
        shown=_shown(len(rows), summary["count"]),
        pictures="".join(_picture(row, model, rival) for row in rows),
        config=html.escape(json.dumps(summary["config"], indent=2)),
        versions=html.escape(", ".join(f"{name} {version}" for name, version in summary["versions"].items())),
    )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")


def best_baseline(summary: Mapping[str, Any], higher_is_better: Mapping[str, bool]) -> str | None:
    """The baseline with the best mean in the first protocol that has values."""
    baselines = summary["baselines"]
    for protocol, higher in higher_is_better.items():
        values = {name: float(scores[protocol]) for name, scores in baselines.items() if scores[protocol] is not None}
        if values:
            return (max if higher else min)(values, key=lambda name: values[name])
    return next(iter(baselines), None)


def _facts(summary: Mapping[str, Any]) -> str:
    count = summary["count"]
    facts = [
        f"{count} picture{'s' if count != 1 else ''}",
        f"checkpoint of step {summary['step']:,}",
        f"{summary['seconds']:.0f} s on {', '.join(sorted(set(summary['devices'])))}",
    ]
    return " · ".join(html.escape(fact) for fact in facts)


def _table(means: Mapping[str, Scores], higher_is_better: Mapping[str, bool], stds: Mapping[str, Scores]) -> str:
    heads = "".join(f"<th>{p} <small>{'↑' if up else '↓'}</small></th>" for p, up in higher_is_better.items())
    lines = []
    for name, scores in means.items():
        cells = []
        for protocol, higher in higher_is_better.items():
            values = [float(s[protocol]) for s in means.values() if s[protocol] is not None]
            value, spread = scores[protocol], stds.get(name, {}).get(protocol)
            best = value is not None and float(value) == (max if higher else min)(values)
            spread_text = f" <small>± {_score(protocol, spread)}</small>" if spread is not None else ""
            cells.append(f"<td{' class=best' if best else ''}>{_score(protocol, value)}{spread_text}</td>")
        lines.append(f"<tr><th>{html.escape(name)}</th>{''.join(cells)}</tr>")
    head = f"<thead><tr><th></th>{heads}</tr></thead>"
    return f'<div class="wide"><table>{head}<tbody>{"".join(lines)}</tbody></table></div>'


def _score(protocol: str, value: Any) -> str:
    if value is None:
        return '<span class="none">not available</span>'
    return f"{float(value):.2f}" if protocol.startswith("psnr") else f"{float(value):.4f}"


def _unavailable(reasons: Mapping[str, str]) -> str:
    items = [f"<li><b>{html.escape(p)}</b> is not available: {html.escape(why)}</li>" for p, why in reasons.items()]
    return f"<ul>{''.join(items)}</ul>" if items else ""


def _groups(summary: Mapping[str, Any], higher_is_better: Mapping[str, bool]) -> str:
    parts = []
    for name, group in summary.get("groups", {}).items():
        means = {summary["model"]: group["mean"], **group["baselines"]}
        head = f"<h3>{html.escape(name)} <small>{group['count']} pictures</small></h3>"
        parts.append(head + _table(means, higher_is_better, {}))
    return "<h2>By group</h2>" + "".join(parts) if parts else ""


def _curves(log: Mapping[str, Series]) -> str:
    losses = {key.removeprefix("loss/"): points for key, points in log.items() if key.startswith("loss/")}
    charts = [line_chart(losses, title="training loss by term, over steps", log=True)]
    for key, points in log.items():
        if key.startswith("eval/"):
            title = f"{key.removeprefix('eval/')} on evaluation pictures, over steps"
            charts.append(line_chart({key: points}, title=title, marks=True))
    return "".join(charts)


def _shown(shown: int, count: int) -> str:
    part = "" if shown == count else f"{shown} of {count} pictures, evenly spread; all are in restored/. "
    return part + "Click a restored picture for the full PNG."


def _picture(row: Row, model: str, rival: str | None) -> str:
    cells = []
    for kind in ("input", rival, model, "reference"):
        if kind is None:
            continue
        image = f'<img src="{row.thumbnails[kind]}" alt="{html.escape(kind)}" loading="lazy">'
        if kind == model:
            image = f'<a href="{html.escape(row.link)}">{image}</a>'
        scores = ", ".join(f"{p} {_score(p, v)}" for p, v in row.scores.get(kind, {}).items() if v is not None)
        cells.append(f"<figure>{image}<figcaption><b>{html.escape(kind)}</b> {scores}</figcaption></figure>")
    return f'<section><h3>{html.escape(row.name)}</h3><div class="row">{"".join(cells)}</div></section>'
