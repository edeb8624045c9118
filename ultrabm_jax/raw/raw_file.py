"""A camera raw file, opened once: LibRaw (through rawpy) and the TIFF tags read the same bytes in memory.

LibRaw's error about a broken file becomes a `BadImage` that names it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from ultrabm_jax.errors import UserError, first_line
from ultrabm_jax.extras import missing_extra
from ultrabm_jax.image import BadImage
from ultrabm_jax.image.bad_image import require_file
from ultrabm_jax.image.headers import JPEG_START
from ultrabm_jax.raw.tags import DEMOSAICED, NOT_RAW, Tags, read_metadata, read_tags, why_unsupported

if TYPE_CHECKING:
    import rawpy

# First bytes: TIFF (DNG, ARW, NEF, CR2 ...) and its variants RW2, ORF, CRW; RAF, X3F, MRW. CR3 has "ftyp" later.
SIGNATURES = (
    b"II*\0", b"MM\0*", b"IIU\0", b"IIRO", b"IIRS", b"MMOR", b"II\x1a\0", b"FUJI", b"FOVb", b"\0MRM",
)  # fmt: skip
SIGNATURE_LENGTH = 8
IMAGES = {JPEG_START: "a JPEG", b"\x89PNG": "a PNG", b"RIFF": "a WebP"}  # first bytes
SAMPLES_PER_BYTE = 16  # of compressed files; lossless JPEG needs a bit for each sample, cameras need several


@dataclass(frozen=True)
class RawFile:
    """An open raw file whose samples are unpacked, one per pixel; valid within `open_raw`."""

    path: Path
    libraw: rawpy.RawPy
    tags: Tags


@contextmanager
def open_raw(path: Path) -> Iterator[RawFile]:
    """Reads the file into memory and unpacks its mosaic; `BadImage` if it is not a raw file or contains no mosaic."""
    rawpy = require_rawpy()
    data = _read(path)
    with _libraw_errors(path, data), rawpy.RawPy() as libraw:
        libraw.open_buffer(io.BytesIO(data))
        _refuse_bomb(path, libraw.sizes, len(data))
        libraw.unpack()
        if libraw.raw_type != rawpy.RawType.Flat or libraw.raw_image_visible.ndim != 2:
            raise BadImage(path, DEMOSAICED)
        with tag_errors(path):
            tags = read_tags(data)
        yield RawFile(path, libraw, tags)


def read_raw_size(path: Path) -> tuple[int, int]:
    """(h, w) of the visible area, from the header alone; `read_raw` may crop up to a period less one."""
    rawpy = require_rawpy()
    with _open(path):
        pass  # checks the signature; LibRaw reads the header by the path, because a buffer would be the whole file
    with _libraw_errors(path, b""), rawpy.RawPy() as libraw:
        libraw.open_file(str(path))
        return libraw.sizes.height, libraw.sizes.width


def read_exposure(path: Path) -> tuple[int | None, float | None]:
    """(ISO, exposure in seconds) from the header alone; None if the file does not state them. Raises BadImage."""
    rawpy = require_rawpy()
    data = _read(path)
    with _libraw_errors(path, data), rawpy.RawPy() as libraw:
        libraw.open_buffer(io.BytesIO(data))
        with tag_errors(path):
            _, _, iso, exposure = read_metadata(read_tags(data), libraw)
        return iso, exposure


@contextmanager
def _open(path: Path) -> Iterator[io.BufferedReader]:
    """The opened file, whose first bytes are those of a known kind of raw file."""
    require_file(path)
    try:
        with path.open("rb") as file:
            start = file.read(SIGNATURE_LENGTH)
            _check_signature(path, start)
            file.seek(0)
            yield file
    except OSError as error:
        raise BadImage(path, f"cannot be read ({first_line(error)})") from error


def _check_signature(path: Path, start: bytes) -> None:
    """Refuses files without a header, which LibRaw would attribute to an old camera with files of that size."""
    if not start:
        raise BadImage(path, "is empty")
    for beginning, kind in IMAGES.items():
        if start.startswith(beginning):
            raise BadImage(path, NOT_RAW.format(kind))
    if not start.startswith(SIGNATURES) and start[4:] != b"ftyp":
        reason = "not a camera raw file; a headerless file of samples states neither size nor pattern nor levels"
        raise BadImage(path, f"{reason} (write them as DNG: ultrabm_jax.raw.dng.write_dng)")


def _read(path: Path) -> bytes:
    with _open(path) as file:
        return file.read()


@contextmanager
def _libraw_errors(path: Path, data: bytes) -> Iterator[None]:
    """Turns LibRaw's errors into a `BadImage` that names the file."""
    rawpy = require_rawpy()
    try:
        yield
    except rawpy.LibRawFileUnsupportedError as error:
        raise BadImage(path, why_unsupported(data) or "not a camera raw file that LibRaw supports") from error
    except rawpy.LibRawIOError as error:
        raise BadImage(path, "ends before its image does, or is damaged") from error
    except (rawpy.LibRawError, rawpy.NotSupportedError, NotImplementedError) as error:
        raise BadImage(path, f"cannot be decoded ({first_line(error)})") from error


@contextmanager
def tag_errors(path: Path) -> Iterator[None]:
    """Turns any error about tags that LibRaw accepts and others cannot read into a `BadImage`."""
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:  # IndexError, struct.error, TypeError ...
        raise BadImage(path, f"its tags cannot be read ({first_line(error)})") from error


def _refuse_bomb(path: Path, sizes: rawpy.ImageSizes, stored: int) -> None:
    if sizes.raw_height * sizes.raw_width > SAMPLES_PER_BYTE * stored:
        raise BadImage(
            path, f"claims {sizes.raw_width}x{sizes.raw_height} samples in {stored} bytes; cut off or damaged"
        )


def require_rawpy() -> ModuleType:
    """rawpy; raises UserError with the command that installs it if it is missing."""
    try:
        import rawpy
    except ImportError as error:
        raise UserError(missing_extra("rawpy", "camera raw files")) from error
    return rawpy
