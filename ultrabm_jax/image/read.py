"""The reader of image files, for training, evaluation, restoring and metrics.

`read_image` returns all that a file holds; `read_rgb_uint8` returns what training needs, by the same decoder;
`read_size` reads the header alone. All raise `BadImage`, one line that names the file and the reason.

Samples are decoded at their stored depth, gray or RGB, with alpha separate:

gray, 1-bit         gray
palette, YCbCr, Lab RGB, by Pillow
CMYK                RGB (colour_space.py)
9 to 16 bits        kept
animation           the first frame, with a note
TIFF with a thumbnail first
                    the full image
32-bit, signed and floating-point samples
                    refused: they have no defined range
damaged             refused (damage.py)
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import PIL.Image

from ultrabm_jax.image.bad_image import Refused
from ultrabm_jax.image.colour_space import profile_notes, rgb_from_cmyk, rgb_profile, to_srgb
from ultrabm_jax.image.damage import refuse_damage
from ultrabm_jax.image.deep import decode_deep
from ultrabm_jax.image.fast import decode_fast
from ultrabm_jax.image.formats import LOSSY
from ultrabm_jax.image.headers import header_notes, png_bits, refuse_psd_kind, tga_has_alpha
from ultrabm_jax.image.jpeg_xl import decode_jpeg_xl
from ultrabm_jax.image.metadata import IDENTITY, dpi_of, exif_bytes, symmetry_of, upright_size
from ultrabm_jax.image.open import OpenImage, frames_of, open_image
from ultrabm_jax.image.samples import Region, Samples, split
from ultrabm_jax.image.tiff import decode_page

GRAY_TOLERANCE = 2  # of 255, in lossy formats: R, G and B of a gray image may differ by rounding
GRAY_MODES = frozenset({"1", "L", "LA", "La"})


@dataclass(frozen=True)
class Image:
    """One decoded image, upright."""

    rgb: np.ndarray  # (h, w, 3) float32 in [0, 1]
    alpha: np.ndarray | None = None  # (h, w) float32 in [0, 1]
    bits: int = 8  # per sample in the file; 16 where it has 9 to 16
    gray: bool = False  # by its format, or because R = G = B
    icc: bytes | None = None  # profile of the RGB values, which are not converted
    exif: bytes | None = None  # without the orientation
    dpi: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()  # what the reader left out or converted


def read_image(path: str | os.PathLike[str]) -> Image:
    """Decodes `path`; the docstring of the module lists what happens to each kind of image."""
    with warnings.catch_warnings():  # decoding returns an image or raises
        warnings.simplefilter("ignore")
        with open_image(path) as opened:
            samples = decode(opened)
            icc, notes = rgb_profile(opened)
            frames = frames_of(opened)
            if frames > 1:
                notes = (f"first of {frames} frames", *notes)
            return Image(
                rgb=np.ascontiguousarray(np.broadcast_to(_unit(samples.colour, samples.peak), _rgb_shape(samples))),
                alpha=None if samples.alpha is None else _unit(samples.alpha, samples.peak),
                bits=16 if samples.bits > 8 else 8,
                gray=samples.gray or _is_gray(samples, lossy=opened.format in LOSSY),
                icc=None if samples.gray else icc,
                exif=exif_bytes(opened),
                dpi=dpi_of(opened),
                notes=notes + samples.notes,
            )


def read_rgb_uint8(
    path: str | os.PathLike[str], *, region: Region | None = None, note: Callable[[str], None] | None = None
) -> np.ndarray:
    """(h, w, 3) uint8; alpha is dropped, and deeper samples become round(255 v / white), of 16 bits round(v / 257).

    region: the part to read; its values are those of the whole image. Of upright 8-bit PNG and JPEG files, little more
    than the part above and to the left of its lower right corner is decoded. Raises `BadImage` if the image does not
    have the size `region.of`.
    note: called with each line on what was converted or left out, such as a colour profile.
    """
    with open_image(path) as opened:
        samples = decode(opened, alpha=False, region=region)
        if note is not None:
            icc, notes = rgb_profile(opened)
            for line in (*samples.notes, *notes, *(profile_notes(icc) if icc else ())):
                note(line)
        values = samples.colour
        if samples.peak != 255:
            values = np.rint(values * (255 / samples.peak)).astype(np.uint8)
        return np.ascontiguousarray(np.broadcast_to(values, _rgb_shape(samples)))


def read_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """(h, w) from the header alone, the size of the pixels that the other readers give."""
    with open_image(path) as opened:
        return upright_size(opened, symmetry_of(opened)[0])


def _rgb_shape(samples: Samples) -> tuple[int, int, int]:
    height, width = samples.colour.shape[:2]
    return height, width, 3


def _unit(values: np.ndarray, peak: int) -> np.ndarray:
    """0 ... peak -> [0, 1], contiguous float32."""
    return np.ascontiguousarray(values, np.float32) / np.float32(peak)


def _is_gray(samples: Samples, *, lossy: bool) -> bool:
    """Whether R = G = B everywhere, up to rounding."""
    tolerance = GRAY_TOLERANCE * samples.peak / 255 if lossy else 0
    lowest, highest = samples.colour.min(axis=-1), samples.colour.max(axis=-1)
    return bool((highest - lowest).max(initial=0) <= tolerance)


def decode(opened: OpenImage, *, alpha: bool = True, region: Region | None = None) -> Samples:
    """The samples of the image or of a region of it, upright.

    Without `alpha`, transparency is dropped (not composited), which is faster. Raises `Refused` if the image does not
    have the size that `region` says.
    """
    if region is not None:
        return _decode_region(opened, region, alpha=alpha)
    samples = _decode_stored(opened, alpha=alpha, extent=None)
    symmetry, notes = symmetry_of(opened)
    return replace(samples.turned(symmetry), notes=samples.notes + notes)


def _decode_region(opened: OpenImage, region: Region, *, alpha: bool) -> Samples:
    symmetry, notes = symmetry_of(opened)
    _require_size(upright_size(opened, symmetry), region)
    upright = symmetry == IDENTITY
    extent = (region.top + region.height, region.left + region.width) if upright else None
    samples = _decode_stored(opened, alpha=alpha, extent=extent).turned(symmetry).cropped(region)
    if samples.colour.shape[:2] != (region.height, region.width):
        raise Refused("decodes to fewer pixels than its header says")
    return replace(samples, notes=samples.notes + notes)


def _decode_stored(opened: OpenImage, *, alpha: bool, extent: tuple[int, int] | None) -> Samples:
    """The samples as stored; of `extent`, see decode_fast."""
    if opened.jpeg_xl is not None:
        samples = decode_jpeg_xl(opened.file, opened.jpeg_xl)
    elif opened.page is not None:
        samples = decode_page(opened.page)
    else:
        samples = _decode_pillow(opened, alpha=alpha, extent=extent)
    refuse_damage(opened.file, opened.format)
    return to_srgb(samples, opened)


def _require_size(size: tuple[int, ...], region: Region) -> None:
    if size != region.of:
        (height, width), (expected_height, expected_width) = size, region.of
        raise Refused(f"is {width}x{height}, but its header said {expected_width}x{expected_height} before")


def _decode_pillow(opened: OpenImage, *, alpha: bool, extent: tuple[int, int] | None) -> Samples:
    image = opened.pillow
    assert image is not None
    deep = decode_deep(opened.file, opened.format, image)
    if deep is not None:
        return deep
    if opened.format == "PSD":
        refuse_psd_kind(opened.file)
    if image.mode == "F":
        raise Refused("floating-point images have no defined range; convert it to 8 or 16 bits")
    fast = decode_fast(opened, extent=extent)
    if fast is not None:
        return split(fast, peak=255)
    image.load()
    if image.mode.startswith("I"):
        return _decode_wide(image)
    if image.mode == "CMYK":
        image, notes = rgb_from_cmyk(image, opened.format)
        return Samples(np.asarray(image), None, peak=255, gray=False, notes=notes)
    _scale_transparent_gray(image, opened)
    transparent = not {"A", "a"}.isdisjoint(image.getbands()) or "transparency" in image.info
    if image.mode == "LAB" or (opened.format == "TGA" and not tga_has_alpha(opened.file)):
        transparent = False
    if not (alpha and transparent):
        image.info.pop("transparency", None)  # Pillow would warn about some kinds of it, and then drop it too
        transparent = False
    gray = image.mode in GRAY_MODES
    mode = {(True, True): "LA", (True, False): "L", (False, True): "RGBA", (False, False): "RGB"}[gray, transparent]
    return replace(split(np.asarray(image.convert(mode)), peak=255), notes=header_notes(opened.file, opened.format))


def _scale_transparent_gray(image: PIL.Image.Image, opened: OpenImage) -> None:
    """A PNG's transparent gray level counts in its 2 or 4 bits; Pillow compares it with samples scaled to 8 bits."""
    level, bits = image.info.get("transparency"), png_bits(opened.file) if opened.format == "PNG" else 8
    if image.mode == "L" and isinstance(level, int) and bits in (2, 4):
        image.info["transparency"] = level * 255 // (2**bits - 1)


def _decode_wide(image: PIL.Image.Image) -> Samples:
    """Gray of modes I and I;16."""
    values = np.asarray(image)
    if values.min() < 0 or values.max() > 65535:
        raise Refused("32-bit images have no defined range; convert it to 8 or 16 bits")
    return split(values.astype(np.uint16), peak=65535)
