"""Supported image formats, by file extension and by content: one list for training, evaluation and restoring."""

from __future__ import annotations

from pathlib import Path

# File names that count as images in a folder; anything else (lists, Thumbs.db) is ignored.
SUFFIXES = frozenset({
    ".apng", ".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpf",
    ".jpg", ".jpg_large", ".jpx", ".jxl", ".pbm", ".pcx", ".pgm", ".png", ".pnm", ".ppm", ".psd", ".qoi", ".sgi",
    ".tga", ".tif", ".tiff", ".webp",
})  # fmt: skip

# Files that ultrabm-jax restore takes as videos; in folders, they are skipped like other files.
VIDEO_SUFFIXES = frozenset({".avi", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpg", ".mts", ".webm", ".wmv"})

# The formats that are decoded, as Pillow names them (JPEGXL has no name there); a file's content decides, not its name.
# Pillow opens more than these: EPS, for one, by starting Ghostscript on the file.
FORMATS = frozenset({
    "AVIF", "BMP", "DIB", "GIF", "HEIF", "ICO", "JPEG", "JPEG2000", "JPEGXL", "MPO", "PCX", "PNG", "PPM", "PSD", "QOI",
    "SGI", "TGA", "TIFF", "WEBP",
})  # fmt: skip

JPEG = frozenset({"JPEG", "MPO"})  # MPO: a JPEG that several frames may follow
LOSSY = JPEG | {"AVIF", "HEIF", "JPEG2000", "JPEGXL", "WEBP"}  # may change values by rounding
HEIF_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"heim", b"heis", b"hevx", b"mif1", b"msf1"})


def is_image(path: Path) -> bool:
    """Whether the name is that of an image; hidden files, such as macOS's ._1.png, are not.

    The path may still be a broken link, a folder or a pipe: reading it reports that.
    """
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
