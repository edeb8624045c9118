"""Damage that decoders do not notice, and what a file that no decoder takes seems to be.

Pillow stops reading a PNG once it has its rows, and skips the checksums: half a file of zeros, as an interrupted copy
leaves it, decodes without an error. Here every chunk's CRC is checked. A WebP has no checksum, but its entropy-coded
data never end in a run of zeros. JPEG, AVIF and JPEG 2000 notice a missing end themselves. What nobody can notice: a
flipped bit in a file without checksums, and zeros in an uncompressed one (BMP, PPM, TIFF), which are black pixels.
"""

from __future__ import annotations

import os
from typing import BinaryIO

from PIL import Image

ZEROS = 64  # bytes; so long a run of zeros ends no compressed image
HEAD = 512  # bytes that tell what a file is

# First bytes of what is often found under an image's name; the first that fits.
BEGINNINGS = (
    (b"version https://git-lfs", "a Git LFS pointer: fetch the image with `git lfs pull`"),
    (b"<!doctype html", "a web page: the download failed"),
    (b"<html", "a web page: the download failed"),
    (b"<?xml", "an XML text, such as SVG or a server's error"),
    (b"{", "a JSON text, perhaps a server's error"),
    (b"pk\3\4", "a ZIP archive: unpack it"),
    (b"\x1f\x8b", "a gzip archive: unpack it"),
    (b"%!ps", "PostScript, which is not read"),
    (b"%pdf", "a PDF, which is not read"),
    (b"\x89png", "a PNG that is cut off or damaged"),
    (b"\xff\xd8\xff", "a JPEG that is cut off or damaged"),
    (b"gif8", "a GIF that is cut off or damaged"),
    (b"ii*\0", "a TIFF that is cut off or damaged, or camera raw"),
    (b"mm\0*", "a TIFF that is cut off or damaged, or camera raw"),
    (b"riff", "a WebP that is cut off or damaged"),
)
BRANDS = {b"avif": "an AVIF that is cut off or damaged", b"heic": "HEIC, which is not read: convert it to PNG"}


def guess_file_type(head: bytes) -> str:
    """What a file is that no decoder takes, by its first bytes; never more than a guess."""
    if not head:
        return "an empty file (0 bytes)"
    if not head.strip(b"\0"):
        return "begins with nothing but zeros: a copy that was cut off"
    if head[4:8] == b"ftyp":
        return BRANDS.get(head[8:12], "a video or an image in a format that is not read")
    text = head.lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    return next((what for start, what in BEGINNINGS if text.startswith(start)), "not an image in any known format")


def refuse_damage(file: BinaryIO, format: str | None) -> None:
    """Raises ValueError if an opened image of that format is damaged in a way that decoding would not show."""
    if format == "PNG":
        file.seek(0)
        try:
            with Image.open(file, formats=("PNG",)) as image:
                image.verify()
        except (OSError, SyntaxError) as error:
            raise ValueError("cut off or damaged: a checksum is wrong or the end is missing") from error
    elif format == "WEBP":
        file.seek(-min(ZEROS, file.seek(0, os.SEEK_END)), os.SEEK_END)
        if not file.read().strip(b"\0"):
            raise ValueError(f"cut off: the last {ZEROS} bytes are zero")
