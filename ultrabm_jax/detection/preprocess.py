"""Image -> input of a detector, and boxes back to the image."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from ultrabm_jax.detection.description import Description
from ultrabm_jax.image.resize import resize


class Placement(NamedTuple):
    """How an image of `size` (h, w) lies in the network's input: input = image * (y, x), at the top left."""

    size: tuple[int, int]
    y: float
    x: float


def to_input(image: np.ndarray, description: Description) -> tuple[np.ndarray, Placement]:
    """(h, w, 3) float in [0, 1] -> the network's input without the batch axis, float32, and its placement.

    Shrinking is bilinear with antialiasing (Pillow), unlike in most detectors' own code (OpenCV without it).
    """
    height, width = image.shape[:2]
    rows, columns = description.size
    if description.resize == "letterbox":
        factor = min(rows / height, columns / width)
        size = max(1, round(height * factor)), max(1, round(width * factor))
    else:
        size = rows, columns
    resized = resize(image, size, Image.Resampling.BILINEAR) * 255
    filled = np.full((rows, columns, 3), description.pad, np.float32)
    filled[: size[0], : size[1]] = resized
    if description.colours == "bgr":
        filled = filled[..., ::-1]
    values = (filled - np.array(description.mean, np.float32)) / np.array(description.std, np.float32)
    placed = values.transpose(2, 0, 1) if description.layout == "nchw" else values
    return np.ascontiguousarray(placed), Placement((height, width), size[0] / height, size[1] / width)


def to_image(boxes: np.ndarray, placement: Placement) -> np.ndarray:
    """Boxes (n, 4) on the input -> on the image, cut at its border."""
    height, width = placement.size
    scaled = boxes / np.array([placement.x, placement.y, placement.x, placement.y], np.float32)
    return np.clip(scaled, 0, np.array([width, height, width, height], np.float32))
