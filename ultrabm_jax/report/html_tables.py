"""HTML tables that the page's script can sort; cells have their value in `data-v`."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence

from ultrabm_jax.metrics.score_table import Directions, Intervals, Scores, Value, best_values, digits_of
from ultrabm_jax.report.summary import PairedDifference

ImageScores = tuple[str, str | None, Mapping[str, Scores]]  # name, group, {method: scores}


def score(protocol: str, value: Value) -> str:
    """A value as HTML, with the decimals of its protocol."""
    if value is None:
        return '<span class="none">n/a</span>'
    return f"{float(value):.{digits_of(protocol)}f}"


def methods_table(
    means: Mapping[str, Scores],
    higher_is_better: Directions,
    *,
    model: str,
    std: Scores | None = None,
    intervals: Intervals | None = None,
) -> str:
    """Methods as rows, protocols as columns; the best of each column is bold. `std` is that of `model`."""
    best = best_values(means, higher_is_better)
    lines = []
    for name, scores in means.items():
        cells = []
        for protocol in higher_is_better:
            value = scores.get(protocol)
            kind = ' class="best"' if value is not None and float(value) == best[protocol] else ""
            deviation = (std or {}).get(protocol) if name == model else None
            more = _spread(protocol, deviation, (intervals or {}).get(name, {}).get(protocol))
            cells.append(f'<td{kind} data-v="{"" if value is None else value}">{score(protocol, value)}{more}</td>')
        kind = ' class="model"' if name == model else ""
        lines.append(f'<tr{kind}><th scope="row">{html.escape(name)}</th>{"".join(cells)}</tr>')
    heads = [head("method"), *(head(f"{p} {arrow(up)}", descending=bool(up)) for p, up in higher_is_better.items())]
    return wide(f"<thead><tr>{''.join(heads)}</tr></thead><tbody>{''.join(lines)}</tbody>", "mean scores")


def differences_table(
    differences: Mapping[str, Mapping[str, PairedDifference | None]], higher_is_better: Directions, *, model: str
) -> str:
    """`model` minus each other method, with intervals; a difference whose interval excludes 0 is bold."""
    lines = []
    for name, found in differences.items():
        cells = []
        for protocol in higher_is_better:
            difference = found.get(protocol)
            if difference is None:
                cells.append(f'<td data-v="">{score(protocol, None)}</td>')
                continue
            ci95, digits = difference["ci95"], digits_of(protocol)
            kind = ' class="best"' if ci95 is not None and (ci95[0] > 0 or ci95[1] < 0) else ""
            text = f"{difference['mean']:+.{digits}f}"
            more = "" if ci95 is None else f"<br><small>[{ci95[0]:+.{digits}f}, {ci95[1]:+.{digits}f}]</small>"
            cells.append(f'<td{kind} data-v="{difference["mean"]}">{text}{more}</td>')
        lines.append(f'<tr><th scope="row">{html.escape(f"{model} minus {name}")}</th>{"".join(cells)}</tr>')
    heads = [head("difference"), *(head(p, descending=True) for p in higher_is_better)]
    return wide(f"<thead><tr>{''.join(heads)}</tr></thead><tbody>{''.join(lines)}</tbody>", "paired differences")


def _spread(protocol: str, std: Value, ci95: Sequence[float] | None) -> str:
    parts = [] if std is None else [f"± {score(protocol, std)}"]
    parts += [] if ci95 is None else [f"[{score(protocol, ci95[0])}, {score(protocol, ci95[1])}]"]
    return "".join(f"<br><small>{part}</small>" for part in parts)


def head(label: str, *, descending: bool = False) -> str:
    """A column's header; `descending`: the first click sorts large values first."""
    order = "descending" if descending else "ascending"
    return f'<th scope="col"><button type="button" data-first="{order}">{html.escape(label)}</button></th>'


def arrow(higher_is_better: bool | None) -> str:
    """The direction of better values; None: towards 1."""
    return {True: "↑", False: "↓", None: "→ 1"}[higher_is_better]


def wide(table: str, label: str, kind: str = "") -> str:
    """A table that scrolls, by keyboard too, if it is wider than the page."""
    box = f'<div class="wide {kind}" tabindex="0" role="region" aria-label="{html.escape(label)}">'
    return f'{box}<table class="sortable">{table}</table></div>'


def images_table(
    table: Sequence[ImageScores], anchors: Mapping[str, str], higher_is_better: Mapping[str, bool | None]
) -> str:
    """Images as rows, methods as columns, for a protocol that the reader selects; the script fills it from JSON."""
    methods = list(table[0][2]) if table else []
    protocols = [p for p in higher_is_better if any(s[m].get(p) is not None for _, _, s in table for m in methods)]
    if not protocols:
        return ""
    groups = any(group is not None for _, group, _ in table)
    data = {
        "protocols": [[p, higher_is_better[p], digits_of(p)] for p in protocols],
        "methods": methods,
        "groups": groups,
        "images": [
            [name, group, anchors.get(name), [[_number(s[m].get(p)) for m in methods] for p in protocols]]
            for name, group, s in table
        ],
    }
    options = "".join(f"<option>{html.escape(p)}</option>" for p in protocols)
    heads = [head("image"), *([head("group")] if groups else []), *map(head, methods)]
    body = f"<thead><tr>{''.join(heads)}</tr></thead><tbody></tbody>"
    text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return (
        f'<p><label>protocol <select id="protocol">{options}</select></label></p>'
        f"<noscript><p>This table needs JavaScript; per_image.csv has the same numbers.</p></noscript>"
        f'<div id="all">{wide(body, "scores of each image", "tall")}</div>'
        f'<script type="application/json" id="data">{text}</script>'
    )


def _number(value: Value) -> float | str | None:
    """Six significant digits, more than any protocol shows; an infinity, which JSON lacks, as a string."""
    if value is None:
        return None
    value = float(f"{float(value):.6g}")
    return value if abs(value) < float("inf") else str(value)
