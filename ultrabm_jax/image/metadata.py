"""Metadata of image files: the orientation, which is applied, and what is copied to the output.

Copied are the resolution, and EXIF without the tags that no longer apply.
"""

from __future__ import annotations

from PIL import ExifTags, Image
from PIL.TiffImagePlugin import TiffImageFile

from ultrabm_jax.image import headers, tiff
from ultrabm_jax.image.formats import JPEG
from ultrabm_jax.image.jpeg_xl import exif_of_boxes
from ultrabm_jax.image.open import OpenImage
from ultrabm_jax.image.symmetry import FROM_EXIF, swaps_sides

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
IDENTITY = 0
XMP_FORMATS = JPEG | {"PNG", "WEBP"}  # of AVIF and HEIC, boxes decide
UNREADABLE = "its EXIF cannot be read; taken to be upright"


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
    except Exception:  # each decoder has its own types; symmetry_of notes unreadable EXIF
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


def symmetry_of(opened: OpenImage) -> tuple[int, tuple[str, ...]]:
    """(the symmetry that turns the decoded rows and columns upright, notes).

    An image whose EXIF cannot be read, or whose value is not 1 to 8, is treated as upright.
    """
    if opened.page is not None:
        return FROM_EXIF.get(tiff.orientation_of(opened.page), IDENTITY), ()
    if opened.jpeg_xl is not None:
        return FROM_EXIF[opened.jpeg_xl.orientation], ()
    image = opened.pillow
    assert image is not None
    if isinstance(image, TiffImageFile):
        # Pillow rotates these upright itself by the tag, and reports the upright size.
        return FROM_EXIF[opened.xmp_orientation], ()
    if opened.format == "PNG" and headers.png_has_late_metadata(opened.file):
        image.load()
    try:
        value = exif_of(image).get(ExifTags.Base.Orientation)
    except Exception:  # each decoder has its own types
        return IDENTITY, (UNREADABLE,)
    if value is None and opened.format in XMP_FORMATS:  # Pillow finds it there only if it is in double quotes
        value = tiff.xmp_orientation(image.info.get("xmp"))
    return FROM_EXIF.get(value, IDENTITY) if isinstance(value, int) else IDENTITY, ()


def exif_of(image: Image.Image) -> Image.Exif:
    """What was read of the EXIF so far; PngImageFile's own method would decode the whole image."""
    return Image.Image.getexif(image)


def upright_size(opened: OpenImage, symmetry: int) -> tuple[int, int]:
    """(h, w) by the header, after the orientation is applied; `symmetry` is that of `symmetry_of`."""
    width, height = opened.stored_size
    return (width, height) if swaps_sides(symmetry) else (height, width)
