"""Real low images whose degradation is given to photos (degrade.py): those of a folder, or of a run's own data.

Beyond 1024x1024 pixels they are cut to that, from the middle: a network looks at all of one at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from input_pipeline import open_source
from input_pipeline.files.photos import find_photos
from ultrabm_jax.errors import UserError
from ultrabm_jax.image.decode import read_rgb_uint8

LARGEST = 1024  # side


@dataclass(frozen=True)
class Donors:
    """Their names, and how to read one (h, w, 3) uint8."""

    names: Sequence[str]
    read: Callable[[int], np.ndarray]


def find_donors(folder: str | None, config: Any) -> Donors:
    """The images of `folder`, or the low images of the run's training data."""
    if folder is not None:
        files, _ = find_photos(folder, split="eval", option="--donors")
        if not files:
            raise UserError(f"--donors {folder} has no images")
        paths = list(files.values())
        return Donors(list(files), lambda i: prepared(read_rgb_uint8(paths[i])))
    data = config.data.copy_and_resolve_references()
    data.photos = ""
    try:
        source = open_source(data, scale=config.model.scale)
    except UserError as error:
        raise UserError(f"the run's own low images cannot be opened ({error}); name others with --donors") from error
    return Donors([source.name(i) for i in range(len(source))], lambda i: prepared(source.pair(i)[0]))


def prepared(image: np.ndarray) -> np.ndarray:
    """What DeG sees of an image: 8 bits (simulated darkness may have 16), not too large."""
    if image.dtype == np.uint16:
        image = np.rint(image / 257).astype(np.uint8)
    return middle(image, LARGEST)


def middle(image: np.ndarray, largest: int) -> np.ndarray:
    """At most `largest` rows and columns, from the middle."""
    top, left = ((side - min(side, largest)) // 2 for side in image.shape[:2])
    return image[top : top + largest, left : left + largest]
