"""Flat images, whose restorations are known by their levels."""

from __future__ import annotations

import numpy as np
from PIL import Image

from ultrabm_jax.image import read_image


def save(path, level, mode="RGB", **options):
    """A flat image, whose restoration is known by its level."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((6, 8, 3), level, np.uint8)).convert(mode).save(path, **options)
    return path


def levels(folder, pattern="*.png"):
    """The mean of each output."""
    return {path.name: round(float(read_image(path).rgb.mean()), 2) for path in sorted(folder.glob(pattern))}
