"""Drawing with Pillow: text, outlines, and rows and columns of cells. A cell is an image (h, w, 3) uint8."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Colour: TypeAlias = tuple[int, int, int]

WHITE: Colour = (255, 255, 255)
INK: Colour = (40, 40, 40)
FAINT: Colour = (150, 150, 150)
# The colours of the report's charts on a light page (report/page.css).
COLOURS: tuple[Colour, ...] = (
    (31, 99, 181),
    (192, 90, 0),
    (46, 125, 50),
    (179, 48, 106),
    (106, 63, 176),
    (138, 116, 0),
    (0, 119, 122),
    (102, 107, 115),
)
MARKS: tuple[Colour, ...] = ((220, 38, 38), (34, 197, 94), (250, 204, 21), (59, 130, 246))  # of regions in images
TEXT = 13  # pixels
GAP = 4


class Rectangle(NamedTuple):
    """A rectangle of an image in its pixels, with a label."""

    top: float
    left: float
    bottom: float
    right: float
    colour: Colour
    label: str = ""


@functools.cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font at `size` pixels."""
    return ImageFont.load_default(size=size)


def text_width(text: str, *, size: int = TEXT) -> int:
    """The width of `text` in pixels."""
    left, _, right, _ = font(size).getbbox(text)
    return int(np.ceil(right - left))


def shorten(text: str, width: int, *, size: int = TEXT) -> str:
    """`text` with "..." in its middle if it is wider than `width` pixels."""
    kept = len(text)
    short = text
    while kept > 2 and text_width(short, size=size) > width:
        kept -= 1
        short = f"{text[: (kept + 1) // 2]}...{text[len(text) - kept // 2 :]}"
    return short


def text_cell(text: str, width: int, *, size: int = TEXT, colour: Colour = INK, centred: bool = True) -> np.ndarray:
    """A line of text, shortened to `width` pixels."""
    image = Image.new("RGB", (width, size + 5), WHITE)
    short = shorten(text, width, size=size)
    left = (width - text_width(short, size=size)) // 2 if centred else 0
    ImageDraw.Draw(image).text((left, 0), short, fill=colour, font=font(size))
    return np.asarray(image)


def blank(height: int, width: int) -> np.ndarray:
    """A white cell."""
    return np.full((height, width, 3), WHITE, np.uint8)


def beside(cells: Iterable[np.ndarray], *, gap: int = GAP) -> np.ndarray:
    """Cells from left to right, aligned at the top."""
    cells = list(cells)
    height = max(len(cell) for cell in cells)
    padded = [np.concatenate([cell, blank(height - len(cell), cell.shape[1])]) for cell in cells]
    return np.concatenate([part for cell in padded for part in (cell, blank(height, gap))][:-1], axis=1)


def stacked(cells: Iterable[np.ndarray], *, gap: int = GAP) -> np.ndarray:
    """Cells from top to bottom, aligned at the left."""
    cells = list(cells)
    width = max(cell.shape[1] for cell in cells)
    padded = [np.concatenate([cell, blank(len(cell), width - cell.shape[1])], axis=1) for cell in cells]
    return np.concatenate([part for cell in padded for part in (cell, blank(gap, width))][:-1])


def framed(cell: np.ndarray, *, margin: int = 8) -> np.ndarray:
    """The cell with a white margin."""
    return np.pad(cell, [(margin, margin), (margin, margin), (0, 0)], constant_values=255)


def fit_width(image: np.ndarray, width: int) -> np.ndarray:
    """The image at `width` pixels: reduced by Lanczos' filter, or enlarged with its pixels as squares."""
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    kind = Image.Resampling.LANCZOS if width < image.shape[1] else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize((width, height), kind))


def outlined(cell: np.ndarray, rectangles: Sequence[Rectangle], *, thickness: int = 2) -> np.ndarray:
    """The cell with rectangles drawn around the given areas, and their labels inside at the top."""
    image = Image.fromarray(np.ascontiguousarray(cell))
    draw = ImageDraw.Draw(image)
    for top, left, bottom, right, colour, label in rectangles:
        corners = [round(left), round(top), max(round(right) - 1, round(left)), max(round(bottom) - 1, round(top))]
        draw.rectangle(corners, outline=colour, width=thickness)
        if label:
            origin = (corners[0] + thickness + 1, corners[1] + thickness - 1)
            draw.rectangle(draw.textbbox(origin, label, font=font(TEXT - 2)), fill=colour)
            draw.text(origin, label, fill=_readable_on(colour), font=font(TEXT - 2))
    return np.asarray(image)


def legend(names: Sequence[str], colours: Sequence[Colour], width: int) -> np.ndarray:
    """A square of colour and a name for each, in as many lines as `width` needs."""
    square, space = 10, 14
    lines: list[list[tuple[str, Colour]]] = [[]]
    used = 0
    for name, colour in zip(names, colours, strict=True):
        short = shorten(name, width - square - 5)
        need = square + 5 + text_width(short) + space
        if lines[-1] and used + need > width:
            lines.append([])
            used = 0
        lines[-1].append((short, colour))
        used += need
    image = Image.new("RGB", (width, len(lines) * (TEXT + 6)), WHITE)
    draw = ImageDraw.Draw(image)
    for row, line in enumerate(lines):
        left, top = 0, row * (TEXT + 6)
        for name, colour in line:
            draw.rectangle([left, top + 4, left + square - 1, top + 3 + square], fill=colour)
            draw.text((left + square + 5, top), name, fill=INK, font=font(TEXT))
            left += square + 5 + text_width(name) + space
    return np.asarray(image)


def _readable_on(colour: Colour) -> Colour:
    return INK if sum(colour) > 400 else WHITE
