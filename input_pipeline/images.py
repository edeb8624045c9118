"""Decoding: any picture that Pillow opens, as uint8 RGB (h, w, 3).

What happens to each kind:
  gray                repeated over the three channels
  palette, CMYK, ...  converted by Pillow (no colour management)
  alpha               dropped, not composited: a training pair has no background to show through
  16-bit gray         round(v / 257)
  16-bit colour PNG   Pillow itself keeps the high byte, at most one level away from round(v / 257)
  EXIF orientation    applied
  animation           the first frame
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ultrabm_jax.errors import UserError

# File names that count as pictures; anything else in a folder (lists, Thumbs.db) is passed over.
SUFFIXES = {
    ".apng", ".avif", ".bmp", ".dib", ".gif", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpf", ".jpg", ".jpx", ".pbm",
    ".pcx", ".pgm", ".png", ".pnm", ".ppm", ".psd", ".qoi", ".sgi", ".tga", ".tif", ".tiff", ".webp",
}  # fmt: skip

ORIENTATION = 0x0112  # EXIF tag; values 5 to 8 exchange width and height


class BadImage(UserError):
    """A picture file cannot be read. The message names the file and the reason."""

    def __init__(self, path: Path, reason: str):
        self.path = path
        super().__init__(f"{path}: {reason}")


def is_picture(path: Path) -> bool:
    """Whether the name is that of a picture (hidden files, such as macOS's ._1.png, are not)."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def read_size(path: Path) -> tuple[int, int]:
    """(h, w) from the header alone, as `read_rgb_uint8` will return it."""
    with _explained(path), Image.open(path) as image:
        _refuse_bomb(image)
        width, height = image.size
        exif = Image.Image.getexif(image)  # PngImageFile's own would decode the whole picture
        turned = exif.get(ORIENTATION, 1) >= 5
        return (width, height) if turned else (height, width)


def read_rgb_uint8(path: Path) -> np.ndarray:
    """The whole picture, (h, w, 3) uint8; `BadImage` if the file is unreadable or truncated."""
    with _explained(path), Image.open(path) as image:
        _refuse_bomb(image)
        image.load()
        return to_rgb_uint8(ImageOps.exif_transpose(image))


def to_rgb_uint8(image: Image.Image) -> np.ndarray:
    """A decoded Pillow image of any mode as (h, w, 3) uint8."""
    if image.mode == "F":
        raise ValueError("floating-point pictures have no defined range; convert it to 8 or 16 bits")
    if image.mode.startswith("I"):
        wide = np.asarray(image)
        if wide.min() < 0 or wide.max() > 65535:
            raise ValueError("32-bit pictures have no defined range; convert it to 8 or 16 bits")
        gray = np.rint(wide / 257).astype(np.uint8)
        return np.repeat(gray[..., None], 3, axis=2)
    return np.asarray(image.convert("RGB"))


def _refuse_bomb(image: Image.Image) -> None:
    # Checked here rather than by turning Pillow's warning into an error: warning filters are not thread-safe.
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and image.width * image.height > limit:
        raise ValueError(f"{image.width}x{image.height} is more than {limit} pixels, which may be a decompression bomb")


class _explained:
    """Turns whatever a decoder raises into a `BadImage` that names the file."""

    def __init__(self, path: Path):
        self.path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error, KeyError ... on broken files.
        if error is None or not isinstance(error, Exception) or isinstance(error, (UserError, MemoryError)):
            return
        raise BadImage(self.path, _reason(error)) from error


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, PermissionError):
        return "no permission to read it"
    if isinstance(error, UnidentifiedImageError):
        return "not a picture in any format that Pillow knows"
    detail = " ".join(str(error).split()) or type(error).__name__
    return f"cannot be decoded ({detail})"
