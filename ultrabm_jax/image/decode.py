"""Decoding: any image that Pillow opens, as uint8 RGB (h, w, 3).

What happens to each kind:
  gray                repeated over the three channels
  1-bit, palette, CMYK, YCbCr, Lab
                      converted by Pillow (no colour management)
  alpha               dropped, not composited: a training pair has no background to show through
  16-bit gray         round(v / 257)
  16-bit colour PNG   Pillow itself keeps the high byte, at most one level away from round(v / 257)
  EXIF orientation    applied
  animation           the first frame
  wrong extension     the content decides
  32-bit and float    refused: they have no defined range
  larger than Image.MAX_IMAGE_PIXELS (89 million)
                      refused: may be a decompression bomb
  damaged             refused (damage.py)
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ultrabm_jax.errors import UserError
from ultrabm_jax.image.damage import HEAD, guess_file_type, refuse_damage

# File names that count as images; anything else in a folder (lists, Thumbs.db) is passed over.
SUFFIXES = {
    ".apng", ".avif", ".bmp", ".dib", ".gif", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpf", ".jpg", ".jpx", ".pbm",
    ".pcx", ".pgm", ".png", ".pnm", ".ppm", ".psd", ".qoi", ".sgi", ".tga", ".tif", ".tiff", ".webp",
}  # fmt: skip

# Pillow opens more than these: EPS, for one, by starting Ghostscript on the file.
FORMATS = {
    "AVIF", "BMP", "DIB", "GIF", "JPEG", "JPEG2000", "MPO", "PCX", "PNG", "PPM", "PSD", "QOI", "SGI", "TGA", "TIFF",
    "WEBP",
}  # fmt: skip

ORIENTATION = 0x0112  # EXIF tag; values 5 to 8 exchange width and height


class BadImage(UserError):
    """An image file cannot be read. The message names the file and the reason."""

    def __init__(self, path: Path, reason: str):
        self.path = path
        super().__init__(f"{printable(path)}: {reason}")


def printable(text: object) -> str:
    """One line that any terminal can show: control characters and bytes that are no UTF-8 are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def is_image(path: Path) -> bool:
    """Whether the name is that of an image (hidden files, such as macOS's ._1.png, are not).

    What lies there may still be a broken link, a folder or a pipe: reading it says so.
    """
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def read_size(path: Path) -> tuple[int, int]:
    """(h, w) from the header alone, as `read_rgb_uint8` will return it."""
    with _opened(path) as (image, _):
        width, height = image.size
        exif = Image.Image.getexif(image)  # PngImageFile's own would decode the whole image
        turned = exif.get(ORIENTATION, 1) >= 5
        return (width, height) if turned else (height, width)


def read_rgb_uint8(path: Path) -> np.ndarray:
    """The whole image, (h, w, 3) uint8; `BadImage` if the file is unreadable, truncated or damaged."""
    with _opened(path) as (image, file):
        image.load()
        refuse_damage(file, image.format)
        return to_rgb_uint8(ImageOps.exif_transpose(image))


def to_rgb_uint8(image: Image.Image) -> np.ndarray:
    """A decoded Pillow image of any mode as (h, w, 3) uint8."""
    if image.mode == "F":
        raise ValueError("floating-point images have no defined range; convert it to 8 or 16 bits")
    if image.mode.startswith("I"):
        wide = np.asarray(image)
        if wide.min() < 0 or wide.max() > 65535:
            raise ValueError("32-bit images have no defined range; convert it to 8 or 16 bits")
        gray = np.rint(wide / 257).astype(np.uint8)
        return np.repeat(gray[..., None], 3, axis=2)
    image.info.pop("transparency", None)  # Pillow would warn about some kinds of it, and then drop it too
    return np.asarray(image.convert("RGB"))


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Image.Image, BinaryIO]]:
    """The image, its header read, and its file; whatever a decoder raises becomes a `BadImage`."""
    require_file(path)
    try:
        with path.open("rb") as file, _identified(path, file) as image:
            _refuse_foreign(image)
            yield image, file
    except (UserError, MemoryError):
        raise
    except Exception as error:  # decoders raise OSError, SyntaxError, ValueError, struct.error, KeyError ...
        raise BadImage(path, _reason(path, error)) from error


def require_file(path: Path) -> None:
    """`BadImage` unless a file lies there, by itself or at the end of a link. A pipe would wait for ever if opened."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise BadImage(path, _reason(path, error)) from error
    if not stat.S_ISREG(mode):
        raise BadImage(path, "a folder, not a file" if stat.S_ISDIR(mode) else "a pipe or device, not a file")


def _identified(path: Path, file: BinaryIO) -> Image.Image:
    try:
        return Image.open(file)
    except Image.DecompressionBombError as error:
        raise BadImage(path, f"more than {Image.MAX_IMAGE_PIXELS} pixels, which may be a decompression bomb") from error
    except UnidentifiedImageError as error:
        file.seek(0)
        raise BadImage(path, guess_file_type(file.read(HEAD))) from error


def _refuse_foreign(image: Image.Image) -> None:
    if image.format not in FORMATS:
        raise ValueError(f"{image.format} is not read; convert it to PNG")
    if image.mode == "I" and image.format == "TIFF":  # 16-bit gray has a mode of its own
        raise ValueError("32-bit images have no defined range; convert it to 8 or 16 bits")
    # Checked here rather than by turning Pillow's warning into an error: warning filters are not thread-safe.
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and image.width * image.height > limit:
        raise ValueError(f"{image.width}x{image.height} is more than {limit} pixels, which may be a decompression bomb")


def _reason(path: Path, error: Exception) -> str:
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.ELOOP:
        return "a link that leads in a circle"
    if number == errno.ENOENT:
        return f"a link to {printable(os.readlink(path))}, which is not there" if path.is_symlink() else "no such file"
    if number in (errno.EACCES, errno.EPERM):
        return "no permission to read it"
    if number is not None:
        return f"cannot be read ({os.strerror(number)})"
    return f"cannot be decoded ({' '.join(str(error).split()) or type(error).__name__})"
