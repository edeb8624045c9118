"""Tables as HTML whose columns the page's script sorts: cells carry their number in `data-v`."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

DIGITS = {"psnr": 2, "niqe": 2, "brisque": 2, "sseq": 2, "loe": 1}  # other protocols have values below 1: 4 digits
Scores = Mapping[str, Any]  # protocol: value; None where it is not available
ImageScores = tuple[str, str | None, Mapping[str, Scores]]  # name, group, {method: scores}


def digits_of(protocol: str) -> int:
    return DIGITS.get(re.split(r"[_\d]", protocol)[0], 4)


def score(protocol: str, value: Any) -> str:
    if value is None:
        return '<span class="none">n/a</span>'
    return f"{float(value):.{digits_of(protocol)}f}"


def methods_table(
    means: Mapping[str, Scores],
    higher_is_better: Mapping[str, bool],
    *,
    model: str,
    std: Scores | None = None,
    ci95: Scores | None = None,
) -> str:
    """Methods down, protocols across; the best of each column is bold. `std` and `ci95` are the model's."""
    best = {protocol: _best(protocol, means, higher) for protocol, higher in higher_is_better.items()}
    lines = []
    for name, scores in means.items():
        cells = []
        for protocol in higher_is_better:
            value = scores.get(protocol)
            kind = ' class="best"' if value is not None and float(value) == best[protocol] else ""
            more = _spread(protocol, (std or {}).get(protocol), (ci95 or {}).get(protocol)) if name == model else ""
            cells.append(f'<td{kind} data-v="{"" if value is None else value}">{score(protocol, value)}{more}</td>')
        kind = ' class="model"' if name == model else ""
        lines.append(f'<tr{kind}><th scope="row">{html.escape(name)}</th>{"".join(cells)}</tr>')
    heads = [head("method"), *(head(f"{p} {arrow(up)}", down=up) for p, up in higher_is_better.items())]
    return wide(f"<thead><tr>{''.join(heads)}</tr></thead><tbody>{''.join(lines)}</tbody>", "mean scores")


def _spread(protocol: str, std: Any, ci95: Any) -> str:
    parts = [] if std is None else [f"± {score(protocol, std)}"]
    parts += [] if ci95 is None else [f"[{score(protocol, ci95[0])}, {score(protocol, ci95[1])}]"]
    return "".join(f"<br><small>{part}</small>" for part in parts)


def head(label: str, *, down: bool = False) -> str:
    """A column's head; `down`: the first click puts large values first."""
    order = "descending" if down else "ascending"
    return f'<th scope="col"><button type="button" data-first="{order}">{html.escape(label)}</button></th>'


def arrow(higher_is_better: bool) -> str:
    return "↑" if higher_is_better else "↓"


def wide(table: str, label: str, kind: str = "") -> str:
    """A table that scrolls by itself where it is wider than the page, by keyboard too."""
    box = f'<div class="wide {kind}" tabindex="0" role="region" aria-label="{html.escape(label)}">'
    return f'{box}<table class="sortable">{table}</table></div>'


def images_table(table: Sequence[ImageScores], anchors: Mapping[str, str], higher_is_better: Mapping[str, bool]) -> str:
    """Images down, methods across, for a protocol that the reader chooses; the script fills it from the data."""
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


def _best(protocol: str, means: Mapping[str, Scores], higher: bool) -> float | None:
    values = [float(scores[protocol]) for scores in means.values() if scores.get(protocol) is not None]
    return (max if higher else min)(values) if values else None


def _number(value: Any) -> float | str | None:
    """Six digits are more than any protocol shows; what JSON cannot say is text ("inf")."""
    if value is None:
        return None
    value = float(f"{float(value):.6g}")
    return value if abs(value) < float("inf") else str(value)
