"""A contact sheet: one row of captioned thumbnails for each subject."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

CELL = (240, 180)  # largest width and height of a thumbnail
TEXT, GAP = 14, 6  # pixels
BACKGROUND, FOREGROUND = (250, 250, 250), (20, 20, 20)

Cell = tuple[str, np.ndarray]  # caption, image (h, w, 3) uint8


class ContactSheet:
    """Collects the images of the first `rows` subjects."""

    def __init__(self, *, rows: int):
        self._limit = rows
        self._rows: dict[str, list[tuple[str, Image.Image]]] = {}

    def add(self, key: str, first: list[Cell], cell: Cell) -> None:
        """Appends an image to the row `key`; a new row starts with the images `first`."""
        if key not in self._rows:
            if len(self._rows) == self._limit:
                return
            self._rows[key] = [_thumbnail(each) for each in first]
        self._rows[key].append(_thumbnail(cell))

    def save(self, path: Path) -> None:
        """Writes the sheet as an image file."""
        columns = max(map(len, self._rows.values()))
        width, height = CELL[0] + GAP, CELL[1] + TEXT + GAP
        sheet = Image.new("RGB", (columns * width + GAP, len(self._rows) * height + GAP), BACKGROUND)
        draw = ImageDraw.Draw(sheet)
        for row, cells in enumerate(self._rows.values()):
            for column, (caption, thumbnail) in enumerate(cells):
                left, top = GAP + column * width, GAP + row * height
                draw.text((left, top), caption.encode("latin-1", "replace").decode("latin-1")[:40], fill=FOREGROUND)
                sheet.paste(thumbnail, (left, top + TEXT))
        sheet.save(path)


def _thumbnail(cell: Cell) -> tuple[str, Image.Image]:
    caption, pixels = cell
    thumbnail = Image.fromarray(pixels)
    thumbnail.thumbnail(CELL)
    return caption, thumbnail
