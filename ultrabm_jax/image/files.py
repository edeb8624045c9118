"""Photos in the formats that photos come in, as float32 RGB (h, w, 3) in [0, 1]; PNG files out.

Read: 8 and 16 bit, gray, alpha (kept apart), palette, CMYK (Pillow's plain conversion, profile ignored), EXIF
orientation applied, first frame of an animation. Values are divided by 255 or 65535: no color management, but the RGB
profile of a photo is handed on, so that viewers show the output as they show the input.

Pillow cuts 16-bit color to 8 bit without a word, so 16-bit PNG and TIFF files are decoded by imagecodecs and tifffile.

A file may say anything (docs/fuzzing.md): whatever a decoder raises becomes one line with the file's name, and a small
file that claims, or is, an enormous image is refused before anything is decoded.
"""

from __future__ import annotations

import dataclasses
import os
import struct
import tempfile
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from ultrabm_jax.errors import UserError

EXTENSIONS = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
GRAY_MODES = frozenset({"1", "L", "LA", "La"})

# Pillow opens more than these: EPS, for one, by starting Ghostscript on the file.
FORMATS = (
    "AVIF", "BMP", "DIB", "GIF", "ICO", "JPEG", "JPEG2000", "MPO", "PCX", "PNG", "PPM", "PSD", "QOI", "SGI", "TGA",
    "TIFF", "WEBP",
)  # fmt: skip
# An image above MANY_PIXELS is a bomb if it has less than a byte for so many pixels. Noise stored without loss takes a
# byte for a few of them; a black image of 4000x3000 has 170 for each as JPEG, 560 as WebP and 11,000 as AVIF.
# Below MANY_PIXELS are 4K video frames, which may be black; a JPEG as dense as that was cut off whatever its size.
MANY_PIXELS = 1 << 23
PIXELS_PER_BYTE = {"JPEG": 500, "MPO": 500, "WEBP": 2_000, "JPEG2000": 2_000, "AVIF": 20_000}
PIXELS_PER_LOSSLESS_BYTE = 200
_ORIENTATION, _BITS_PER_SAMPLE = 274, 258  # tags of EXIF and TIFF


@dataclasses.dataclass(frozen=True)
class Photo:
    """One decoded image; `notes` says what the reader left out."""

    rgb: np.ndarray  # (h, w, 3) float32 in [0, 1]
    alpha: np.ndarray | None  # (h, w) float32 in [0, 1]
    bits: int  # 8 or 16 per channel in the file
    gray: bool
    icc: bytes | None = None  # RGB color profile
    notes: tuple[str, ...] = ()


def read_photo(path: str | os.PathLike[str]) -> Photo:
    """Decodes `path`; a UserError names the file and what is wrong with it."""
    path = Path(path)
    try:
        if not path.is_file():  # a pipe would wait for ever
            raise UserError(f"{path}: not a file" if path.exists() else f"{path}: no such file")
        with warnings.catch_warnings():  # it ends as an image or as an error; a third kind of word helps nobody
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                if image.format not in FORMATS:
                    raise UserError(f"{path}: {image.format} is not read; convert it to PNG")
                _refuse_bomb(path, image)
                return _decode(path, image)
    except (UserError, MemoryError):
        raise
    except Image.UnidentifiedImageError as error:
        raise UserError(f"{path}: not an image in a known format") from error
    except Image.DecompressionBombError as error:
        raise UserError(f"{path}: more than {2 * (Image.MAX_IMAGE_PIXELS or 0)} pixels; cut it into parts") from error
    except Exception as error:  # decoders raise OSError, SyntaxError, TypeError, KeyError, struct.error ...
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path}: cannot be decoded ({reason})") from error


def _refuse_bomb(path: Path, image: Image.Image) -> None:
    """Of `image`, only the header was read."""
    (width, height), stored = image.size, path.stat().st_size
    if min(image.size) < 1:
        raise UserError(f"{path}: has no pixels ({width}x{height})")
    density = PIXELS_PER_BYTE.get(image.format or "", PIXELS_PER_LOSSLESS_BYTE)
    many = MANY_PIXELS // 8 if image.format in ("JPEG", "MPO") else MANY_PIXELS
    if width * height > max(many, density * stored):
        raise UserError(f"{path}: claims {width}x{height} pixels in {stored} bytes; damaged, or a decompression bomb")


def _decode(path: Path, image: Image.Image) -> Photo:
    frames, deep = getattr(image, "n_frames", 1), _is_16_bit(image)
    icc = image.info.get("icc_profile")
    if image.mode == "F":
        raise UserError(f"{path}: floating-point images have no fixed white; save it with 16 bits per channel")
    if deep:
        orientation, note = _orientation(image)
        values = _read_16_bit(path, image).astype(np.float32) / 65535
        gray = values.ndim == 2 or values.shape[-1] < 3  # Pillow takes 16-bit gray with alpha for RGBA
    else:
        values, gray = _read_8_bit(image), image.mode in GRAY_MODES
        orientation, note = _orientation(image)  # after decoding: Pillow turns TIFF files itself
    color, alpha = _split(_orient(values, orientation))
    notes = (f"first of {frames} frames",) if frames > 1 else ()
    keep = not gray and image.mode != "CMYK" and isinstance(icc, bytes) and icc[16:20] == b"RGB "
    return Photo(color, alpha, 16 if deep else 8, gray, icc if keep else None, notes + note)


def _orientation(image: Image.Image) -> tuple[int, tuple[str, ...]]:
    """(EXIF's number, notes); an image whose EXIF cannot be read is still an image."""
    try:
        return image.getexif().get(_ORIENTATION, 1), ()
    except Exception:  # as many kinds as decoders
        return 1, ("its EXIF cannot be read; taken to be upright",)


def _is_16_bit(image: Image.Image) -> bool:
    if isinstance(image, TiffImageFile):
        return 16 in image.tag_v2.get(_BITS_PER_SAMPLE, ())
    if isinstance(image, PngImageFile) and image.tile:
        return ";16" in str(image.tile[0].args)  # Pillow's own name of the stored layout
    return image.mode.startswith("I")


def _read_8_bit(image: Image.Image) -> np.ndarray:
    image.load()
    transparent = "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info
    return np.asarray(image.convert("RGBA" if transparent else "RGB"), np.float32) / 255


def _read_16_bit(path: Path, image: Image.Image) -> np.ndarray:
    """(h, w[, c]) uint16, orientation not applied."""
    if image.format not in ("PNG", "TIFF"):
        return np.asarray(image).astype(np.uint16)  # 16-bit PGM: gray, whole in Pillow
    try:
        import imagecodecs
        import tifffile
    except ImportError as error:
        raise UserError(f"{path}: 16-bit files need two packages: pip install imagecodecs tifffile") from error
    if image.format == "PNG":
        return imagecodecs.png_decode(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        if page.size > 4 * image.width * image.height:
            raise UserError(f"{path}: claims {page.size} samples of {image.width}x{image.height} pixels; damaged")
        values = np.moveaxis(page.asarray(), 0, -1) if page.axes == "SYX" else page.asarray()
        if page.photometric not in (0, 1, 2) or page.axes not in ("YX", "YXS", "SYX"):
            raise UserError(f"{path}: 16-bit TIFF of kind {page.photometric!r}; only gray and RGB are known")
        return 65535 - values if page.photometric == 0 else values  # 0: white is zero


def _orient(values: np.ndarray, orientation: int) -> np.ndarray:
    """Turns stored rows and columns upright (EXIF 2.32, tag Orientation)."""
    if orientation in (5, 6, 7, 8):
        values = np.swapaxes(values, 0, 1)
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    return values


def _split(values: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """(h, w[, 1|2|3|4]) -> RGB (h, w, 3) and alpha (h, w) or None."""
    values = values[..., None] if values.ndim == 2 else values
    color, alpha = (values, None) if values.shape[-1] in (1, 3) else (values[..., :-1], values[..., -1])
    return np.ascontiguousarray(np.broadcast_to(color, (*color.shape[:2], 3))), alpha


def quantise(image: np.ndarray, bits: int) -> np.ndarray:
    """[0, 1] -> uint8 or uint16, rounding half to even as the metrics do."""
    if bits not in (8, 16):
        raise UserError(f"PNG files hold 8 or 16 bits per channel, not {bits}")
    if not np.isfinite(image).all():
        raise UserError("the restored image holds values that are not finite; are the weights sound?")
    peak = 2**bits - 1
    values = np.clip(image, 0.0, 1.0)  # the one copy: images may fill the memory
    values *= np.float32(peak)
    return np.rint(values, out=values).astype(np.uint8 if bits == 8 else np.uint16)


def as_uint8(image: np.ndarray) -> np.ndarray:
    """uint8 as it is; uint16 and floats in [0, 1] rounded to 8 bits."""
    if image.dtype == np.uint8:
        return image
    return quantise(image.astype(np.float32) / 65535 if image.dtype == np.uint16 else image, 8)


def write_png(path: str | os.PathLike[str], image: np.ndarray, bits: int = 8, *, icc: bytes | None = None) -> None:
    """Writes (h, w, 3|4) float in [0, 1], or uint8 as it is; the file appears whole or not at all."""
    values = image if image.dtype == np.uint8 else quantise(image, bits)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(
        prefix=".", suffix=".part", dir=path.parent
    )  # names may be as long as they can be
    try:
        with os.fdopen(handle, "wb") as file:
            if values.dtype == np.uint8:
                Image.fromarray(values).save(file, format="PNG", icc_profile=icc)
            else:
                file.write(_encode_16_bit(values, icc))
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp's files are private
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _encode_16_bit(values: np.ndarray, icc: bytes | None) -> bytes:
    try:
        import imagecodecs
    except ImportError as error:
        raise UserError("writing 16-bit PNG files needs a package: pip install imagecodecs") from error
    data = bytes(imagecodecs.png_encode(values, level=6))
    if icc is None:
        return data
    body = b"iCCP" + b"icc\0\0" + zlib.compress(icc)
    header = 33  # signature and IHDR, which iCCP has to follow
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return data[:header] + chunk + data[header:]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
