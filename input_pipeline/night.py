"""What night photos have beyond too little light: regions that no light reaches, and JPEG compression.

Both change whole images before training (`input_pipeline.darken --unlit, --jpeg-quality`). Without them, a network
learns from pairs of lit scenes that the darkest levels hide details, and turns black skies into gray speckles.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from ultrabm_jax.image.colour import linear_from_srgb, srgb_from_linear

SHARE = (0.2, 0.6)  # of the image that is unlit
TRANSITION = (0.02, 0.2)  # width of the border between lit and unlit, relative to the image's diagonal
LIGHT = (1e-4, 1e-2)  # what remains in the unlit region, log-uniform


def darken_region(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Takes the light from one side of a straight border, as in a night sky.

    Args:
        image: (h, w, 3) uint8 sRGB.
        rng: draws the border's direction and place, its width, and the remaining light.

    Returns:
        The same shape and type.
    """
    height, width = image.shape[:2]
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    distance = np.sin(angle) * y + np.cos(angle) * x
    border = np.quantile(distance, rng.uniform(*SHARE))
    depth = np.clip((border - distance) / (rng.uniform(*TRANSITION) * np.hypot(height, width)), 0, 1)
    remaining = np.exp(rng.uniform(*np.log(LIGHT)))
    light = linear_from_srgb(image / np.float32(255)) * (remaining**depth)[..., None]
    return np.rint(255 * srgb_from_linear(light)).astype(np.uint8)


def compress(image: np.ndarray, *, quality: int) -> np.ndarray:
    """(h, w, 3) uint8 -> the same after JPEG compression with Pillow's `quality` (1 to 95) and 4:2:0 subsampling."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality, subsampling="4:2:0")
    with Image.open(file) as decoded:
        return np.asarray(decoded)
