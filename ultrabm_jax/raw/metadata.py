"""What a raw file says about its camera, exposure and filter array, by LibRaw, tifffile and Pillow.

DNG, ARW, NEF, CR2 and most others are TIFF; RAF and CR3 are not. No maker notes are parsed here.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

MAKE, MODEL, ISO, EXIF = 271, 272, 34855, 34665  # tags, the same in TIFF and EXIF
PATTERN_SIZE, PATTERN = 33421, 33422
TAGS = (MAKE, MODEL, ISO, EXIF, PATTERN_SIZE, PATTERN)


def read_metadata(path: Path, raw: Any) -> dict[str, Any]:
    """{"make", "model", "iso", "exposure"}: "" or None where the file does not say. `raw` is rawpy's object."""
    tags = _tags(path)
    make, model = (tags[MAKE], tags[MODEL]) if MAKE in tags and MODEL in tags else _from_thumbnail(raw)
    iso = round(raw.other.iso_speed) or tags.get(ISO) or tags.get(EXIF, {}).get("ISOSpeedRatings")
    exposure = float(str(np.float32(raw.other.shutter_speed)))  # a float32: 0.033, not 0.0329999998
    return {
        "make": _words(make),
        "model": _words(model),
        "iso": iso if isinstance(iso, int) and iso > 0 else None,
        "exposure": exposure or None,
    }


def declared_pattern(path: Path) -> np.ndarray | None:
    """The filter array of a TIFF-like file, (p, q) with 0 red, 1 green, 2 blue and above that others, or None.

    LibRaw knows arrays of 8x2 and of 6x6; of a wider one, such as Quad Bayer's 4x4, it silently keeps a part.
    """
    tags = _tags(path)
    if PATTERN_SIZE not in tags or PATTERN not in tags:
        return None
    size, values = tuple(tags[PATTERN_SIZE]), bytes(tags[PATTERN])
    return np.frombuffer(values, np.uint8).reshape(size) if np.prod(size) == len(values) else None


def _tags(path: Path) -> dict[int, Any]:
    """{number: value} of the first page and of its sub-pages, where cameras put the mosaic; {} if it is no TIFF."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            first = file.pages.first
            found: dict[int, Any] = {}
            for page in (first, *(first.pages or ())):
                found = {code: page.tags[code].value for code in TAGS if code in page.tags} | found
            return found
    except tifffile.TiffFileError:
        return {}


def _from_thumbnail(raw: Any) -> tuple[str, str]:
    """The embedded JPEG carries EXIF; LibRaw adds what it knows where the camera wrote none."""
    import rawpy

    try:
        thumbnail = raw.extract_thumb()
        if thumbnail.format != rawpy.ThumbFormat.JPEG:
            return "", ""
        with Image.open(io.BytesIO(thumbnail.data)) as image:
            exif = image.getexif()
    except (rawpy.LibRawError, rawpy.NotSupportedError, UnidentifiedImageError, OSError):
        return "", ""
    return exif.get(MAKE, ""), exif.get(MODEL, "")


def _words(value: object) -> str:
    return " ".join(str(value).replace("\0", " ").split())
