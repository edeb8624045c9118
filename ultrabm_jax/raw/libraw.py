"""Opening raw files with LibRaw, through rawpy; what it says of a broken file becomes a `BadImage` that names it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ultrabm_jax.errors import UserError
from ultrabm_jax.image.decode import BadImage, require_file

# First bytes: TIFF (DNG, ARW, NEF, CR2 ...) and its variants RW2, ORF, CRW; RAF, X3F, MRW. CR3 has "ftyp" later.
HEADERS = (
    b"II*\0", b"MM\0*", b"IIU\0", b"IIRO", b"IIRS", b"MMOR", b"II\x1a\0", b"FUJI", b"FOVb", b"\0MRM",
)  # fmt: skip
SAMPLES_PER_BYTE = 16  # of compressed files; lossless JPEG needs a bit for each sample, cameras need several


@contextmanager
def open_header(path: Path) -> Iterator[Any]:
    """rawpy's object of a file of which only the header was read."""
    rawpy = _rawpy()
    _check_header(path)
    with _explained(path), rawpy.RawPy() as raw:
        raw.open_file(str(path))
        yield raw


@contextmanager
def open_raw(path: Path) -> Iterator[Any]:
    """rawpy's object of an unpacked file that holds one sample per pixel."""
    rawpy = _rawpy()
    with open_header(path) as raw:
        _refuse_bomb(path, raw.sizes)
        raw.unpack()
        if raw.raw_type != rawpy.RawType.Flat or raw.raw_image_visible.ndim != 2:
            raise BadImage(path, "holds all colours at each pixel (Foveon, sRAW or linear DNG), not a mosaic")
        yield raw


def words(error: Exception) -> str:
    """The first line of an error; LibRaw's are bytes."""
    first = error.args[0] if error.args else error
    text = first.decode("ascii", "replace") if isinstance(first, bytes) else str(error)
    return " ".join(text.split()) or type(error).__name__


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turns LibRaw's errors into a `BadImage` that names the file."""
    rawpy = _rawpy()
    try:
        yield
    except rawpy.LibRawFileUnsupportedError as error:
        raise BadImage(path, "not a camera raw file that LibRaw knows") from error
    except rawpy.LibRawIOError as error:
        raise BadImage(path, "ends before its image does, or is damaged") from error
    except (rawpy.LibRawError, rawpy.NotSupportedError, NotImplementedError) as error:
        raise BadImage(path, f"cannot be decoded ({words(error)})") from error


def _refuse_bomb(path: Path, sizes: Any) -> None:
    stored = path.stat().st_size
    if sizes.raw_height * sizes.raw_width > SAMPLES_PER_BYTE * stored:
        raise BadImage(
            path, f"claims {sizes.raw_width}x{sizes.raw_height} samples in {stored} bytes; cut off or damaged"
        )


def _check_header(path: Path) -> None:
    require_file(path)
    # LibRaw takes a file without a header for that of some old camera with files of the same size.
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise BadImage(path, f"cannot be read ({words(error)})") from error
    if not start:
        raise BadImage(path, "is empty")
    if not start.startswith(HEADERS) and start[4:] != b"ftyp":
        reason = "not a camera raw file; of samples without a header nothing tells size, pattern and levels"
        raise BadImage(path, f"{reason} (write them as DNG: ultrabm_jax.raw.dng.write_dng)")


def _rawpy() -> Any:
    try:
        import rawpy
    except ImportError as error:
        raise UserError("camera raw files need the package rawpy: pip install rawpy") from error
    return rawpy
