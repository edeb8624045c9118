"""Small images that the tests write to files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (5, 7, 3), np.uint8)
DEEP = RNG.integers(0, 65536, (5, 7, 3), np.uint16)
ICC = b"\0" * 16 + b"RGB XYZ " + b"\0" * 104


def saved(folder: Path, image: Image.Image, name: str = "a.png", **options: object) -> Path:
    """Writes the image by Pillow and returns its path."""
    path = folder / name
    image.save(path, **options)
    return path
