"""The writer of image files. The suffix chooses the format: PNG (8 or 16 bits), TIFF (8 or 16), JPEG or WebP (8)."""

from __future__ import annotations

import errno
import os
import stat
import struct
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.ExifTags import IFD
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from ultrabm_jax.errors import UserError
from ultrabm_jax.image.codecs import codec

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF"}
DEEP = ("PNG", "TIFF")  # hold 16 bits
QUALITY: dict[str, dict[str, object]] = {  # Pillow's options
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95},
}
IHDR_END = 33  # signature and header of a PNG, which other chunks follow
METRES_PER_INCH = 0.0254


def write_image(
    path: str | os.PathLike[str],
    image: np.ndarray,
    *,
    bits: int = 8,
    icc: bytes | None = None,
    exif: bytes | None = None,
    dpi: tuple[float, float] | None = None,
) -> None:
    """Writes (h, w, 3), or 4 with alpha: float in [0, 1], or uint8 unchanged. The file is complete or absent.

    Raises `UserError` for what the format cannot hold, for values that are not finite, and for a file that cannot be
    written.
    """
    path = Path(path)
    format = format_of(path, bits, alpha=image.shape[-1] == 4)
    values = image if image.dtype == np.uint8 else quantise(image, bits)
    data = _encode(values, format, icc=icc, exif=exif, dpi=dpi)
    with _output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, data)


def write_file(path: str | os.PathLike[str], data: bytes) -> None:
    """Writes a file of any kind, which is complete or absent, and its folder. Links and devices are written through.

    Raises `UserError` if it cannot be written, for example because the disk is full.
    """
    path = Path(path)
    with _output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink() or (path.exists() and not path.is_file()):  # /dev/stdout, a pipe
            path.write_bytes(data)
        else:
            _replace(path, data)


@contextmanager
def _output_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"the output {path} cannot be written: {error.strerror}") from error


def _replace(path: Path, data: bytes) -> None:
    """Writes a temporary file and renames it."""
    # The prefix does not repeat the name, which may be as long as the file system allows.
    handle, temporary = tempfile.mkstemp(prefix=".", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp's files are private
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def check_folder(folder: Path) -> None:
    """Raises UserError if no files can be written into a folder, which need not exist; creates nothing."""
    found = folder
    while not os.path.lexists(found):
        found = found.parent
    try:
        with tempfile.TemporaryFile(dir=found):
            pass
    except OSError as error:
        named = "" if found == folder else f"{found}: "
        raise UserError(
            f"outputs cannot be written to {folder}: {named}{_why_no_folder(found, error)}; choose another folder"
        ) from error


def _why_no_folder(path: Path, error: OSError) -> str:
    """Why no temporary file could be made in `path`, which exists."""
    if not os.path.isdir(path):
        return "a file, not a folder" if os.path.exists(path) else "a broken link"
    # A pseudo file system such as /proc refuses new files as if the folder did not exist.
    return "its file system takes no files" if error.errno == errno.ENOENT else error.strerror or str(error)


def why_unwritable(path: Path) -> str:
    """Why a file cannot be written into its folder, such as a name that is too long; empty if nothing is known."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"the output {path} cannot be written: {error.strerror}"
    return f"the output {path} is a folder" if stat.S_ISDIR(status.st_mode) or os.path.isdir(path) else ""


def quantise(image: np.ndarray, bits: int) -> np.ndarray:
    """[0, 1] -> uint8 or uint16, rounding half to even as the metrics do; values outside are clipped."""
    if bits not in (8, 16):
        raise UserError(f"image files hold 8 or 16 bits per channel, not {bits}")
    if not np.isfinite(image).all():
        raise UserError("the restored image has non-finite values; check the weights")
    peak = 2**bits - 1
    values = np.clip(image, 0.0, 1.0)  # the only copy: images may fill the memory
    values *= np.float32(peak)
    return np.rint(values, out=values).astype(np.uint8 if bits == 8 else np.uint16)


def as_uint8(image: np.ndarray) -> np.ndarray:
    """uint8 unchanged; uint16 and floats in [0, 1] rounded to 8 bits."""
    if image.dtype == np.uint8:
        return image
    return quantise(image.astype(np.float32) / 65535 if image.dtype == np.uint16 else image, 8)


def format_of(path: Path, bits: int, *, alpha: bool) -> str:
    """Pillow's name of the format that the suffix chooses; raises UserError if it cannot hold such an image."""
    format = FORMATS.get(path.suffix.lower())
    if format is None:
        raise UserError(f"{path}: images are written as {', '.join(sorted(FORMATS))}, not as {path.suffix!r}")
    if bits == 16 and format not in DEEP:
        raise UserError(f"{path}: {format} holds 8 bits per channel; write PNG or TIFF to keep 16")
    if alpha and format == "JPEG":
        raise UserError(f"{path}: JPEG has no transparency; write PNG, WebP or TIFF")
    return format


def _encode(
    values: np.ndarray, format: str, *, icc: bytes | None, exif: bytes | None, dpi: tuple[float, float] | None
) -> bytes:
    if format == "TIFF":
        return _encode_tiff(values, icc=icc, exif=exif, dpi=dpi)
    if values.dtype == np.uint16:
        return _encode_16_bit_png(values, icc=icc, exif=exif, dpi=dpi)
    given: dict[str, object] = {"icc_profile": icc, "exif": exif, "dpi": dpi}  # Pillow's names
    data = BytesIO()
    options = QUALITY.get(format, {}) | {name: value for name, value in given.items() if value is not None}
    Image.fromarray(values).save(data, format=format, **options)
    return data.getvalue()


def _encode_16_bit_png(
    values: np.ndarray, *, icc: bytes | None, exif: bytes | None, dpi: tuple[float, float] | None
) -> bytes:
    data = bytes(codec("imagecodecs").png_encode(values, level=6))
    chunks = b""
    if icc is not None:
        chunks += _chunk(b"iCCP", b"icc\0\0" + zlib.compress(icc))
    if dpi is not None:
        chunks += _chunk(b"pHYs", struct.pack(">IIB", *(round(value / METRES_PER_INCH) for value in dpi), 1))
    if exif is not None:
        chunks += _chunk(b"eXIf", exif.removeprefix(b"Exif\0\0"))
    return data[:IHDR_END] + chunks + data[IHDR_END:]


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _encode_tiff(
    values: np.ndarray, *, icc: bytes | None, exif: bytes | None, dpi: tuple[float, float] | None
) -> bytes:
    data = BytesIO()
    options: dict[str, object] = {"extrasamples": ["unassalpha"]} if values.shape[-1] == 4 else {}
    if dpi is not None:
        options |= {"resolution": dpi, "resolutionunit": "INCH"}
    options |= {
        "photometric": "rgb",
        "compression": "lzw" if values.dtype == np.uint8 else "zlib",
        "iccprofile": icc,
        "metadata": None,
        "software": False,
        "byteorder": "<",
    }
    codec("tifffile").imwrite(data, values, **options)
    return data.getvalue() if exif is None else _with_exif(data.getvalue(), exif)


def _with_exif(tiff: bytes, exif: bytes) -> bytes:
    """The same little-endian TIFF or BigTIFF with EXIF's tags, in a new directory that replaces the first one.

    tifffile writes no EXIF directory. Entries are copied as they are, since the offsets in them stay valid.
    """
    count, entry, pointer, header = ("<Q", 20, "<Q", 16) if tiff[:4] == b"II+\0" else ("<H", 12, "<I", 8)
    place = header - struct.calcsize(pointer)

    def entries(data: bytes, offset: int) -> dict[int, bytes]:
        first = offset + struct.calcsize(count)
        starts = [first + k * entry for k in range(struct.unpack_from(count, data, offset)[0])]
        return {struct.unpack_from("<H", data, start)[0]: data[start : start + entry] for start in starts}

    given, added = Image.Exif(), ImageFileDirectory_v2(tiff[:header])
    given.load(exif)
    for tag in given:
        added[tag] = given.get_ifd(tag) if tag in (IFD.Exif, IFD.GPSInfo) else given[tag]
    start = len(tiff) + len(tiff) % 2
    data = tiff.ljust(start, b"\0") + added.tobytes(start)
    data += bytes(len(data) % 2)
    merged = sorted((entries(data, start) | entries(tiff, struct.unpack_from(pointer, tiff, place)[0])).items())
    directory = struct.pack(count, len(merged)) + b"".join(body for _, body in merged) + struct.pack(pointer, 0)
    return data[:place] + struct.pack(pointer, len(data)) + data[header:] + directory


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
