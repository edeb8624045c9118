"""Real low-light images whose degradation `degrade.py` transfers to photos: from a folder or a run's data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from ml_collections import ConfigDict

from input_pipeline import open_source
from input_pipeline.files.photos import find_photos
from ultrabm_jax.errors import UserError
from ultrabm_jax.image import read_rgb_uint8

MAX_SIDE = 1024  # pixels; larger images are centre-cropped, because the network processes an image as a whole


@dataclass(frozen=True)
class LowImages:
    """Names, and a function that reads the image of an index as (h, w, 3) uint8."""

    names: Sequence[str]
    read: Callable[[int], np.ndarray]


def find_low_images(folder: str | None, config: ConfigDict) -> LowImages:
    """Finds the images of `folder` (any depth); if it is None, the low images of the run's training data.

    Raises UserError if there are none or if the run's data cannot be opened.
    """
    if folder is not None:
        files, _ = find_photos(folder, split="eval", option="--low-images")
        if not files:
            raise UserError(f"--low-images {folder} has no images")
        paths = list(files.values())
        return LowImages(list(files), lambda i: to_network_input(read_rgb_uint8(paths[i])))
    data = config.data.copy_and_resolve_references()
    data.photos = ""
    try:
        source = open_source(data, scale=config.model.scale)
    except UserError as error:
        message = f"the run's own low images cannot be opened ({error}); name others with --low-images"
        raise UserError(message) from error
    return LowImages([source.name(i) for i in range(len(source))], lambda i: to_network_input(source.pair(i)[0]))


def to_network_input(image: np.ndarray) -> np.ndarray:
    """Converts 16 bits (which synthetic darkness may have) to 8 bits and crops the image to MAX_SIDE."""
    if image.dtype == np.uint16:
        image = np.rint(image / 257).astype(np.uint8)
    return centre_crop(image, MAX_SIDE)


def centre_crop(image: np.ndarray, largest: int) -> np.ndarray:
    """Crops (h, w, ...) to at most `largest` rows and columns around the centre."""
    top, left = ((side - min(side, largest)) // 2 for side in image.shape[:2])
    return image[top : top + largest, left : left + largest]
