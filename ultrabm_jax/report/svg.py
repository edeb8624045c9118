"""Line charts as inline SVG, and the log that they are drawn from."""

from __future__ import annotations

import dataclasses
import html
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 58, 12, 34, 34
COLORS = ("#7cc4ff", "#ffb454", "#9ee493", "#f28fad", "#c9a6ff", "#f2e394", "#8be0d4", "#d0d0d0")
POINTS = 400  # per line; longer logs are averaged in groups

Series = Sequence[tuple[float, float]]  # (step, value)


def read_log(path: str | Path) -> dict[str, list[tuple[float, float]]]:
    """{key: [(step, value), ...]} of a train.jsonl; of steps run twice (after a resume) the later line counts."""
    path = Path(path)
    if not path.exists():
        return {}
    values: dict[str, dict[float, float]] = {}
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            if number == len(lines):  # a killed run may leave its last line unfinished
                break
            raise
        step = record.pop("step")
        for key, value in record.items():
            if isinstance(value, int | float) and math.isfinite(value):
                values.setdefault(key, {})[step] = value
    return {key: sorted(points.items()) for key, points in values.items()}


@dataclasses.dataclass(frozen=True)
class _Scale:
    """Maps values to pixels, linearly or by logarithm."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high = (math.log10(self.low), math.log10(self.high)) if self.log else (self.low, self.high)
        value = math.log10(value) if self.log else value
        return self.start + (value - low) / (high - low) * (self.end - self.start)


def line_chart(series: Mapping[str, Series], *, title: str, log: bool = False, marks: bool = False) -> str:
    """One <svg>; with `log`, values that are not positive are left out."""
    kept = {name: _thin([(x, y) for x, y in points if y > 0 or not log]) for name, points in series.items()}
    kept = {name: points for name, points in kept.items() if points}
    if not kept:
        return ""
    xs = [x for points in kept.values() for x, _ in points]
    ys = [y for points in kept.values() for _, y in points]
    across = _Scale(*_span(xs, log=False), LEFT, WIDTH - RIGHT)
    up = _Scale(*_span(ys, log=log), HEIGHT - BOTTOM, TOP, log)
    body = [_text(LEFT, 16, title, "start", "title")]
    body += [_grid_line(up(y), _number(y)) for y in (_decades if log else _ticks)(up.low, up.high)]
    body += [_text(across(x), HEIGHT - 12, _number(x), "middle") for x in _ticks(across.low, across.high)]
    for (name, points), color in zip(kept.items(), COLORS * 8, strict=False):
        body.append(_line(name, [(across(x), up(y)) for x, y in points], color, marks or len(points) == 1))
    legend = _legend(list(kept)) if len(kept) > 1 else ""
    return f'<figure><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{"".join(body)}</svg>{legend}</figure>'


def _thin(points: Series) -> list[tuple[float, float]]:
    """Means of equal groups, so that a long log stays small and readable."""
    group = math.ceil(len(points) / POINTS) or 1
    parts = [points[k : k + group] for k in range(0, len(points), group)]
    return [(sum(x for x, _ in part) / len(part), sum(y for _, y in part) / len(part)) for part in parts]


def _span(values: Sequence[float], *, log: bool) -> tuple[float, float]:
    low, high = min(values), max(values)
    if log:
        return low / 1.1, high * 1.1
    margin = 0.04 * (high - low) or abs(high) * 0.05 or 1.0
    return low - margin, high + margin


def _ticks(low: float, high: float) -> list[float]:
    """About five round values within [low, high]."""
    raw = (high - low) / 5
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * k for k in (1, 2, 2.5, 5, 10) if unit * k >= raw)
    return [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _decades(low: float, high: float) -> list[float]:
    """1, 2 and 5 of each decade, or the decades alone where there are many."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    digits = (1, 2, 5) if len(powers) <= 4 else (1,)
    return [d * 10.0**p for p in powers for d in digits if low <= d * 10.0**p <= high]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _text(x: float, y: float, text: str, anchor: str, kind: str = "tick") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">{html.escape(text)}</text>'


def _grid_line(y: float, label: str) -> str:
    line = f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>'
    return line + _text(LEFT - 6, y + 4, label, "end")


def _line(name: str, points: Series, color: str, marks: bool) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    style = f'fill="none" stroke="{color}" stroke-width="1.6"'
    line = f'<polyline points="{path}" {style}><title>{html.escape(name)}</title></polyline>'
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>' for x, y in points) if marks else ""
    return line + dots


def _legend(names: Sequence[str]) -> str:
    keys = (
        f'<span><i style="background:{color}"></i>{html.escape(name)}</span>'
        for name, color in zip(names, COLORS * 8, strict=False)
    )
    return f"<figcaption>{''.join(keys)}</figcaption>"
