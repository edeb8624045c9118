"""Images as data URIs, so that the page needs no other file, within a budget of bytes."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping

import numpy as np
from PIL import Image

VIEW_SIDE = 640  # pixels of the longer side of an image under the slider
ERROR_SIDE = 240
# Bytes per image of the page, for all its sources together. As base64 and with about 4 kB of charts per method, an
# image takes less than 0.3 MB; more methods mean more compression, not a larger page.
VIEW_BYTES, CROP_BYTES, ERROR_BYTES = 110_000, 55_000, 18_000

REDUCTIONS = (1.0, 0.7, 0.5, 0.35)  # of the side, tried in this order, each with these qualities
QUALITIES = (85, 65, 45)


def data_uris(images: Mapping[str, np.ndarray], *, budget: int, side: int, kind: str = "WEBP") -> dict[str, str]:
    """{name: (h, w, 3) uint8} -> data URIs, at the best common size and quality at which all files fit `budget`.

    `budget` is in bytes, `side` the maximum of the longer side. WebP halves the colour resolution, so crops are JPEG at
    4:4:4: colour errors are visible early in dark images.
    """
    files: dict[str, bytes] = {}
    for reduction in REDUCTIONS:
        small = {name: _shrunk(image, max(16, int(side * reduction))) for name, image in images.items()}
        for quality in QUALITIES:
            files = {name: _encode(resized, quality, kind) for name, resized in small.items()}
            if sum(map(len, files.values())) <= budget:
                return _uris(files, kind)
    return _uris(files, kind)


def _shrunk(image: np.ndarray, side: int) -> Image.Image:
    full = Image.fromarray(np.ascontiguousarray(image))
    ratio = side / max(full.size)
    if ratio >= 1:
        return full
    width, height = (max(1, round(length * ratio)) for length in full.size)
    return full.resize((width, height), Image.Resampling.LANCZOS)


def _encode(image: Image.Image, quality: int, kind: str) -> bytes:
    options: dict[str, object] = {"subsampling": 0, "optimize": True} if kind == "JPEG" else {"method": 3}
    data = io.BytesIO()
    image.save(data, kind, quality=quality, **options)
    return data.getvalue()


def _uris(files: Mapping[str, bytes], kind: str) -> dict[str, str]:
    start = f"data:image/{kind.lower()};base64,"
    return {name: start + base64.b64encode(data).decode("ascii") for name, data in files.items()}
