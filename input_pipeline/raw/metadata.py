"""What a raw file says about its camera and exposure, by LibRaw, tifffile and Pillow; no maker notes parsed here."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

MAKE, MODEL = 271, 272  # tags, the same in TIFF and EXIF


def read_metadata(path: Path, raw: Any) -> dict[str, Any]:
    """{"make", "model", "iso", "exposure"}: "" or None where the file does not say. `raw` is rawpy's object."""
    make, model = _from_tiff(path) or _from_thumbnail(raw) or ("", "")
    iso, exposure = round(raw.other.iso_speed), float(raw.other.shutter_speed)
    return {"make": make, "model": model, "iso": iso or None, "exposure": exposure or None}


def _from_tiff(path: Path) -> tuple[str, str] | None:
    """DNG, ARW, NEF, CR2 and most others are TIFF; RAF and CR3 are not."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            tags = file.pages.first.tags
            return _words(tags[MAKE].value), _words(tags[MODEL].value)
    except (tifffile.TiffFileError, KeyError):
        return None


def _from_thumbnail(raw: Any) -> tuple[str, str] | None:
    """The embedded JPEG carries EXIF; LibRaw adds what it knows where the camera wrote none."""
    import rawpy

    try:
        thumbnail = raw.extract_thumb()
        if thumbnail.format != rawpy.ThumbFormat.JPEG:
            return None
        with Image.open(io.BytesIO(thumbnail.data)) as image:
            exif = image.getexif()
    except (rawpy.LibRawError, rawpy.NotSupportedError, UnidentifiedImageError, OSError):
        return None
    return _words(exif.get(MAKE, "")), _words(exif.get(MODEL, ""))


def _words(value: object) -> str:
    return " ".join(str(value).replace("\0", " ").split())
