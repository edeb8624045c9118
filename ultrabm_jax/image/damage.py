"""Detects damage that decoders miss, and guesses the type of a file that no decoder accepts.

Pillow stops reading a PNG once it has all rows, and skips the checksums: a file whose second half is zeros, as an
interrupted copy leaves it, decodes without an error. Here every chunk's CRC is checked. A WebP has no checksum, but its
entropy-coded data never end in a run of zeros. The decoders of JPEG, AVIF and JPEG 2000 notice a missing end. A flipped
bit in a file without checksums goes unnoticed, as do zeros in an uncompressed file (BMP, PPM, TIFF): black pixels.
"""

from __future__ import annotations

import os
from typing import BinaryIO

from ultrabm_jax.extras import install
from ultrabm_jax.file_types import guess_common_type, lowercase_start
from ultrabm_jax.image.bad_image import Refused
from ultrabm_jax.image.formats import HEIF_BRANDS
from ultrabm_jax.image.headers import JPEG_START, png_is_undamaged
from ultrabm_jax.image.tiff import CAMERA_RAW

ZEROS = 64  # bytes; no compressed image ends in such a run of zeros

# Camera raw files that are not TIFF files: RAF, X3F, MRW, ORF (three), RW2, CRW.
RAW_BEGINNINGS = (b"fujifilm", b"fovb", b"\0mrm", b"iiro", b"iirs", b"mmor", b"iiu\0", b"ii\x1a\0")
# First bytes, in lower case, of image files that no decoder accepts; the first match counts.
BEGINNINGS = (
    (b"\x89png", "a PNG that is cut off or damaged"),
    (JPEG_START, "a JPEG that is cut off or damaged"),
    (b"gif8", "a GIF that is cut off or damaged"),
    (b"ii*\0", "a TIFF that is cut off or damaged, or camera raw"),
    (b"mm\0*", "a TIFF that is cut off or damaged, or camera raw"),
    (b"p7\n", "a PAM (P7), which is not read; convert it to PNG"),
    (b"pf\n", "a PFM: floating-point images have no defined range; convert it to 8 or 16 bits"),
    (b"riff", "a WebP that is cut off or damaged"),
    *((start, CAMERA_RAW) for start in RAW_BEGINNINGS),
)
HEIC = f"HEIC, which is not read without a package: {install('pillow_heif')}, or convert it to PNG"
BRANDS = {b"avif": "an AVIF that is cut off or damaged", b"crx ": CAMERA_RAW} | dict.fromkeys(HEIF_BRANDS, HEIC)


def guess_file_type(head: bytes) -> str:
    """Guesses the type of a file that no decoder accepts from its first bytes."""
    if common := guess_common_type(head):
        return common
    if head[4:8] == b"ftyp":
        return BRANDS.get(head[8:12], "a video or an image in a format that is not read")
    text = lowercase_start(head)
    return next((what for start, what in BEGINNINGS if text.startswith(start)), "not an image in any known format")


def refuse_damage(file: BinaryIO, format: str) -> None:
    """Raises `Refused` if a file of that format is damaged in a way that decoding does not show."""
    if format == "PNG":
        file.seek(0)
        if not png_is_undamaged(file.read()):
            raise Refused("cut off or damaged: a checksum is wrong or the end is missing")
    elif format == "WEBP":
        file.seek(-min(ZEROS, file.seek(0, os.SEEK_END)), os.SEEK_END)
        if not file.read().strip(b"\0"):
            raise Refused(f"cut off: the last {ZEROS} bytes are zero")
