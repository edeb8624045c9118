"""Small images that the tests write to files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 24, 40
Y, X = np.mgrid[:HEIGHT, :WIDTH]
RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (5, 7, 3), np.uint8)
DEEP = RNG.integers(0, 65536, (5, 7, 3), np.uint16)
SMOOTH = np.stack([6 * X, 10 * Y, 3 * (X + Y)], axis=2).astype(np.uint8)  # compresses with little loss
ALPHA = np.where((X // 8 + Y // 8) % 2, 255, 128).astype(np.uint8)
ICC = b"\0" * 16 + b"RGB XYZ " + b"\0" * 104


def saved(folder: Path, image: Image.Image, name: str = "a.png", **options: object) -> Path:
    """Writes the image by Pillow and returns its path."""
    path = folder / name
    image.save(path, **options)
    return path


def written(path: Path, data: bytes) -> Path:
    """Writes the bytes and returns the path."""
    path.write_bytes(data)
    return path
