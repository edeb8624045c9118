"""Small copies of pictures as data URIs, so that the page needs no other file."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

WIDTH = 480  # pixels
QUALITY = 90


def thumbnail(image_uint8: np.ndarray, width: int = WIDTH) -> str:
    """(h, w, 3) uint8 -> data URI of a JPEG at most `width` wide (4:4:4: dark pictures show color errors early)."""
    picture = Image.fromarray(image_uint8)
    if picture.width > width:
        height = max(1, round(picture.height * width / picture.width))
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=QUALITY, subsampling=0, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode("ascii")


def evenly(count: int, shown: int) -> list[int]:
    """At most `shown` indices of `count`, evenly spread, first and last among them."""
    if count <= shown:
        return list(range(count))
    return sorted({round(k * (count - 1) / max(shown - 1, 1)) for k in range(shown)})
