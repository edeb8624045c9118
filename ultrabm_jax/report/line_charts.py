"""Line charts as inline SVG; their colours, c0 to c7, are defined in page.css."""

from __future__ import annotations

import dataclasses
import html
import math
from collections.abc import Mapping, Sequence

import numpy as np

from ultrabm_jax.report.ticks import linear_ticks, log_ticks

WIDTH, HEIGHT = 400, 220  # about the number of CSS pixels on a phone, so that labels stay readable
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 30, 26
COLOURS = 8  # in page.css
POINTS = 400  # of a line; longer series are averaged in groups

Series = Sequence[tuple[float, float]]  # (step, value)


@dataclasses.dataclass(frozen=True)
class _Scale:
    """Maps values to pixels, linearly or logarithmically."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high = (math.log10(self.low), math.log10(self.high)) if self.log else (self.low, self.high)
        value = math.log10(value) if self.log else value
        return self.start + (value - low) / (high - low) * (self.end - self.start)


def line_chart(
    series: Mapping[str, Series],
    *,
    title: str,
    log: bool = False,
    marks: bool = False,
    names: Sequence[str] = (),
    legend: bool = True,
) -> str:
    """One <figure> with an <svg>; "" without values.

    `log`: logarithmic scale, without values that are not positive. `marks`: a dot at each point. `names`: labels of
    x = 0, 1, ... instead of numbers.
    """
    kept = {name: _thin([(x, y) for x, y in points if y > 0 or not log]) for name, points in series.items()}
    kept = {name: points for name, points in kept.items() if points}
    if not kept:
        return ""
    xs = [x for points in kept.values() for x, _ in points] + [float(k) for k in range(len(names))]
    ys = [y for points in kept.values() for _, y in points]
    across = _Scale(*_span(xs, log=False), LEFT, WIDTH - RIGHT)
    up = _Scale(*_span(ys, log=log), HEIGHT - BOTTOM, TOP, log)
    below = list(enumerate(names)) or linear_ticks(across.low, across.high)
    body = [_text(LEFT, 16, title, "start", "title")]
    body += [_grid_line(up(y), label) for y, label in (log_ticks if log else linear_ticks)(up.low, up.high)]
    body += [_text(across(x), HEIGHT - 8, label, "middle") for x, label in below]
    colours = {name: f"c{k % COLOURS}" for k, name in enumerate(series)}
    for name, points in kept.items():
        body.append(_line(name, [(across(x), up(y)) for x, y in points], colours[name], marks or len(points) == 1))
    keys = line_legend(list(series)) if legend and len(series) > 1 else ""
    image = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(title)}">{"".join(body)}</svg>'
    return f"<figure>{image}{keys}</figure>"


def line_legend(names: Sequence[str]) -> str:
    """The legend of `line_chart` for the same names in the same order."""
    keys = (f'<span><i class="c{k % COLOURS}"></i>{html.escape(name)}</span>' for k, name in enumerate(names))
    return f'<figcaption class="keys">{"".join(keys)}</figcaption>'


def path(
    values: Sequence[float] | np.ndarray, *, low: float, high: float, size: tuple[int, int], area: bool = False
) -> str:
    """The `d` attribute of an SVG path through equally spaced values; `low` and `high` are the edges of `size`.

    `size` is (width, height). Coordinates are relative integers, which take two or three characters each. `area` closes
    the path along the lower edge.
    """
    width, height = size
    x = np.rint(np.linspace(0, width, len(values))).astype(int)
    y = np.rint(height - (np.asarray(values, float) - low) / (high - low) * height).astype(int)
    steps = "".join(f"{a} {b} " for a, b in zip(np.diff(x), np.diff(y), strict=True)).strip()
    return f"M0 {height}V{y[0]}l{steps}V{height}z" if area else f"M0 {y[0]}l{steps}"


def _thin(points: Series) -> list[tuple[float, float]]:
    """Means of equal groups, so that the chart of a long log stays small and readable."""
    group = math.ceil(len(points) / POINTS) or 1
    parts = [points[k : k + group] for k in range(0, len(points), group)]
    return [(sum(x for x, _ in part) / len(part), sum(y for _, y in part) / len(part)) for part in parts]


def _span(values: Sequence[float], *, log: bool) -> tuple[float, float]:
    low, high = min(values), max(values)
    if log:
        return low / 1.1, high * 1.1
    margin = 0.04 * (high - low) or abs(high) * 0.05 or 1.0
    return low - margin, high + margin


def _text(x: float, y: float, text: str, anchor: str, kind: str = "tick") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">{html.escape(text)}</text>'


def _grid_line(y: float, label: str) -> str:
    line = f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>'
    return line + _text(LEFT - 6, y + 4, label, "end")


def _line(name: str, points: Series, colour: str, marks: bool) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    line = f'<polyline points="{path}" class="line {colour}"><title>{html.escape(name)}</title></polyline>'
    dots = (
        "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" class="dot {colour}"/>' for x, y in points) if marks else ""
    )
    return line + dots
