"""Reads the orientation of an image file, once for both its size and its pixels."""

from __future__ import annotations

from PIL import ExifTags, Image
from PIL.TiffImagePlugin import TiffImageFile

from ultrabm_jax.image import png_chunks, tiff
from ultrabm_jax.image.formats import JPEG
from ultrabm_jax.image.open import OpenImage
from ultrabm_jax.image.symmetry import FROM_EXIF, swaps_sides

IDENTITY = 0
XMP_FORMATS = JPEG | {"PNG", "WEBP"}  # of AVIF and HEIC, boxes decide
UNREADABLE = "its EXIF cannot be read; taken to be upright"


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
    if opened.format == "PNG" and png_chunks.has_late_metadata(opened.file):
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
