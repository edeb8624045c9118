"""Charts with axes as cells, drawn `OVERSAMPLING` times as large and then reduced, so that lines are smooth."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageDraw

from ultrabm_jax.figures.cells import FAINT, INK, TEXT, WHITE, Colour, font, shorten
from ultrabm_jax.report.ticks import Tick, labelled, linear_ticks, log_ticks

OVERSAMPLING = 3
GRID: Colour = (226, 226, 226)
SMALL = 11  # pixels of tick labels
Point: TypeAlias = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Axis:
    """The range of an axis; a single value if `low` equals `high`.

    `names` label the positions 0, 1, ...; `ticks=False` leaves out labels and their space.
    """

    low: float
    high: float
    label: str = ""
    names: Sequence[str] = ()
    log: bool = False
    ticks: bool = True

    def share(self, value: float) -> float:
        """0 at the low end, 1 at the high end."""
        low, high, value = (math.log10(x) if self.log else x for x in (self.low, self.high, value))
        return (value - low) / ((high - low) or 1.0)

    def marks(self) -> list[Tick]:
        """Positions and labels of the ticks."""
        if not self.ticks:
            return []
        if self.names:
            return [(float(k), name) for k, name in enumerate(self.names)]
        if self.low == self.high:
            return labelled([self.low])
        return (log_ticks if self.log else linear_ticks)(self.low, self.high)


def axis_around(values: Sequence[float], label: str = "", *, log: bool = False, margin: float = 0.08) -> Axis:
    """An axis with a margin around finite values, which are positive for `log`."""
    low, high = min(values), max(values)
    if log:
        factor = max(high / low, 1.1) ** margin
        return Axis(low / factor, high * factor, label, log=True)
    space = margin * (high - low) or abs(high) * 0.05 or 1.0
    return Axis(low - space, high + space, label)


class Plot:
    """A chart of `size` (width, height) in pixels; coordinates are those of its axes.

    inside: the chart has the whole width, such as that of an image above it, and its vertical labels are inside.
    """

    def __init__(self, size: tuple[int, int], x: Axis, y: Axis, *, title: str = "", inside: bool = False) -> None:
        self._x, self._y, self._inside = x, y, inside
        self._image = Image.new("RGB", (size[0] * OVERSAMPLING, size[1] * OVERSAMPLING), WHITE)
        self._draw = ImageDraw.Draw(self._image, "RGBA")
        self._top = (SMALL + 4 if y.label else 0) + (TEXT + 5 if title else 0) + 4
        self._bottom = size[1] - (SMALL + 6 if x.ticks else 2 if inside or not y.ticks else 8)
        self._bottom -= SMALL + 4 if x.label else 0
        self._left, self._right = (44 if y.ticks else 2), size[0] - 8
        if inside:
            self._left, self._right = 0, size[0]
        if title:
            self._text((size[0] / 2, 1), shorten(title, size[0]), "ma", size=TEXT)
        if y.label:
            self._text((2, self._top - 4), y.label, "ls", size=SMALL)
        if x.label:
            self._text(((self._left + self._right) / 2, size[1] - 2), x.label, "md", size=SMALL)
        self._grid()

    def image(self) -> np.ndarray:
        """The chart as a cell."""
        return np.asarray(self._image.reduce(OVERSAMPLING))

    def line(self, points: Sequence[Point], colour: Colour, *, width: float = 1.4) -> None:
        """A line through the points; what is outside the axes is not drawn."""
        pixels, corners = round(width * OVERSAMPLING), [self._at(p) for p in points]
        self._draw_inside(lambda draw: draw.line(corners, fill=colour, width=pixels, joint="curve"))

    def area(self, points: Sequence[Point], colour: Colour) -> None:
        """The half-transparent area between the points and the lower edge."""
        (first, _), (last, _) = points[0], points[-1]
        corners = [self._at(p) for p in [(first, self._y.low), *points, (last, self._y.low)]]
        self._draw_inside(lambda draw: draw.polygon(corners, fill=(*colour, 110)))

    def dot(self, point: Point, colour: Colour, *, hollow: bool = False, label: str = "") -> None:
        """A dot, with a label beside it."""
        (x, y), radius = self._at(point), 4 * OVERSAMPLING
        box = [x - radius, y - radius, x + radius, y + radius]
        self._draw.ellipse(box, fill=None if hollow else colour, outline=colour, width=2 * OVERSAMPLING)
        if label:
            beyond = x / OVERSAMPLING > 0.75 * self._right
            side = -7 if beyond else 7
            place = (x / OVERSAMPLING + side, y / OVERSAMPLING)
            self._text(place, label, "rm" if beyond else "lm", size=SMALL)

    def bar(self, place: float, value: float, colour: Colour, *, width: float = 0.7) -> None:
        """A vertical bar from the lower end of the axis, with its value above."""
        left, top = self._at((place - width / 2, value))
        right, bottom = self._at((place + width / 2, self._y.low))
        self._draw.rectangle([left, min(top, bottom), right, bottom], fill=colour)

    def whisker(self, place: float, interval: tuple[float, float], colour: Colour = INK) -> None:
        """An interval."""
        (x, bottom), (_, top) = self._at((place, interval[0])), self._at((place, interval[1]))
        half, width = 3 * OVERSAMPLING, OVERSAMPLING
        self._draw.line([(x, bottom), (x, top)], fill=colour, width=width)
        for y in (bottom, top):
            self._draw.line([(x - half, y), (x + half, y)], fill=colour, width=width)

    def horizontal(self, value: float, colour: Colour = FAINT) -> None:
        """A line at a value of the vertical axis."""
        self.line([(self._x.low, value), (self._x.high, value)], colour, width=1)

    def caption(self, point: Point, text: str) -> None:
        """Text above a point."""
        x, y = self._at(point)
        self._text((x / OVERSAMPLING, y / OVERSAMPLING - 3), text, "ms", size=SMALL)

    def _grid(self) -> None:
        for value, label in self._y.marks():
            y = self._at((self._x.low, value))[1] / OVERSAMPLING
            self._rule([(self._left, y), (self._right, y)])
            self._text(
                (2, y - 1) if self._inside else (self._left - 5, y), label, "ls" if self._inside else "rm", size=SMALL
            )
        marks = self._x.marks()
        space = (self._right - self._left) / max(len(marks), 1)
        for value, label in marks:
            x = self._at((value, self._y.low))[0] / OVERSAMPLING
            short = shorten(label, int(space), size=SMALL) if self._x.names else label
            self._text((x, self._bottom + 3), short, "ma", size=SMALL)
        self._rule([(self._left, self._bottom), (self._right, self._bottom)], FAINT)

    def _rule(self, points: Sequence[Point], colour: Colour = GRID) -> None:
        self._draw.line([(x * OVERSAMPLING, y * OVERSAMPLING) for x, y in points], fill=colour, width=OVERSAMPLING)

    def _text(self, place: Point, text: str, anchor: str, *, size: int) -> None:
        x, y = place
        self._draw.text((x * OVERSAMPLING, y * OVERSAMPLING), text, INK, font(size * OVERSAMPLING), anchor)

    def _at(self, point: Point) -> Point:
        """Pixels of the oversampled image."""
        x = self._left + self._x.share(point[0]) * (self._right - self._left)
        y = self._bottom - self._y.share(point[1]) * (self._bottom - self._top)
        return x * OVERSAMPLING, y * OVERSAMPLING

    def _draw_inside(self, paint: Callable[[ImageDraw.ImageDraw], None]) -> None:
        """Draws on a copy and takes over the part inside the axes."""
        layer = self._image.copy()
        paint(ImageDraw.Draw(layer, "RGBA"))
        left, top = self._left * OVERSAMPLING, self._top * OVERSAMPLING
        box = left, top, self._right * OVERSAMPLING, (self._bottom + 1) * OVERSAMPLING
        self._image.paste(layer.crop(box), (left, top))
