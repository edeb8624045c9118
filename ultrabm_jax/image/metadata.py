"""Metadata copied from input to output: the resolution, and EXIF without the tags that no longer apply."""

from __future__ import annotations

from PIL import ExifTags, Image
from PIL.TiffImagePlugin import TiffImageFile

from ultrabm_jax.image.formats import JPEG
from ultrabm_jax.image.jpeg_xl import exif_of_boxes
from ultrabm_jax.image.open import OpenImage
from ultrabm_jax.image.orientation import exif_of

Base = ExifTags.Base
# Of a TIFF, whose other tags describe how its own pixels are stored.
DESCRIPTIVE = frozenset({
    Base.ImageDescription, Base.Make, Base.Model, Base.Software, Base.DateTime, Base.Artist, Base.Copyright,
    ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo,
})  # fmt: skip
# Sizes, the resolution (kept apart) and the orientation, which is applied.
OUTDATED = frozenset({
    Base.Orientation, Base.ImageWidth, Base.ImageLength, Base.XResolution, Base.YResolution, Base.ResolutionUnit,
})  # fmt: skip


def exif_bytes(opened: OpenImage) -> bytes | None:
    """The EXIF block to write beside the restored pixels; None if there is none that can be read."""
    try:
        exif = _exif_of(opened)
        if isinstance(opened.pillow, TiffImageFile):
            kept = [tag for tag in exif if tag in DESCRIPTIVE]
        else:
            kept = [tag for tag in exif if tag not in OUTDATED]
        if not kept:
            return None
        copy = Image.Exif()
        for tag in kept:
            copy[tag] = dict(exif.get_ifd(tag)) if tag in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo) else exif[tag]
        return copy.tobytes()
    except Exception:  # each decoder has its own types; orientation.py notes unreadable EXIF
        return None


def _exif_of(opened: OpenImage) -> Image.Exif:
    if opened.pillow is not None:
        return exif_of(opened.pillow)
    exif = Image.Exif()
    if opened.jpeg_xl is not None and (box := exif_of_boxes(opened.file)):
        exif.load(b"Exif\0\0" + box)
    return exif


def dpi_of(opened: OpenImage) -> tuple[float, float] | None:
    """(horizontal, vertical) dots per inch, if the file states them."""
    if opened.pillow is None:
        return None
    info = opened.pillow.info
    try:
        if opened.format in JPEG and info.get("jfif_unit") not in (1, 2):
            exif_of(opened.pillow)[Base.XResolution]  # without it, the number is Pillow's default
        x, y = (float(value) for value in info["dpi"])
    except Exception:  # each decoder has its own types
        return None
    return (x, y) if x > 0 and y > 0 else None
