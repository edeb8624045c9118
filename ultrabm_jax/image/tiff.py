"""TIFF files that Pillow cannot read or would cut to 8 bits, decoded by tifffile: 9 to 16 bits, planes, alpha.

Refused with the reason: camera raw, floating-point, signed and wider integers (their white is not defined), and
colour spaces other than gray and RGB.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from ultrabm_jax.image.bad_image import Refused
from ultrabm_jax.image.codecs import codec
from ultrabm_jax.image.samples import Samples, unpremultiplied

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the latter two: BigTIFF
CAMERA_RAW = "a camera raw file; restore it with a model for camera raw (--model red), or develop it to PNG first"
DNG_VERSION, ORIENTATION = 50706, 274
MIN_IS_WHITE, MIN_IS_BLACK, RGB, CFA, LINEAR_RAW = 0, 1, 2, 32803, 34892  # photometric interpretations
UNSIGNED, SIGNED, UNDEFINED = 1, 2, 4  # sample formats
PREMULTIPLIED, UNASSOCIATED = 1, 2  # kinds of extra samples
MAX_PAGES = 64  # that are searched for the full image
MAX_BITS = 16


def is_tiff(head: bytes) -> bool:
    """Whether a file that begins with `head` is a TIFF or BigTIFF."""
    return head[:4] in MAGIC


def open_page(file: BinaryIO, stack: ExitStack, *, needed: bool) -> TiffPage | None:
    """The page that holds the image if tifffile must read it: always with `needed`, otherwise where Pillow would fail.

    Raises `Refused` for camera raw files. The pages belong to `file`, which must stay open.
    """
    file.seek(8)
    if file.read(2) == b"CR":  # Canon's CR2
        raise Refused(CAMERA_RAW)
    file.seek(0)
    tiff: TiffFile = stack.enter_context(codec("tifffile").TiffFile(file))
    if _is_camera_raw(tiff):
        raise Refused(CAMERA_RAW)
    page = _full_page(tiff)
    plain = page.sampleformat in (UNSIGNED, UNDEFINED) and page.bitspersample in (1, 2, 4, 8)
    premultiplied = PREMULTIPLIED in page.extrasamples and page.bitspersample == 8
    if plain and page is tiff.pages.first and not needed and not premultiplied:
        return None
    return page


def orientation_of(page: TiffPage) -> int:
    """The Orientation tag, 1 if there is none."""
    value = page.tags.valueof(ORIENTATION, default=1)
    return value if isinstance(value, int) else 1


def decode_page(page: TiffPage) -> Samples:
    """The samples as stored, orientation not applied."""
    bits, kind = page.bitspersample, page.sampleformat
    if kind not in (UNSIGNED, SIGNED, UNDEFINED):
        raise Refused("floating-point images have no defined range; convert it to 8 or 16 bits")
    if kind == SIGNED or bits > MAX_BITS:
        sign = "signed " if kind == SIGNED else ""
        raise Refused(f"{sign}{bits}-bit images have no defined range; convert it to 8 or 16 bits")
    if page.size > 8 * page.imagewidth * page.imagelength:
        raise Refused(f"claims {page.size} samples of {page.imagewidth}x{page.imagelength} pixels; damaged")
    if page.photometric not in (MIN_IS_WHITE, MIN_IS_BLACK, RGB) or page.axes not in ("YX", "YXS", "SYX"):
        raise Refused(f"a {bits}-bit TIFF of kind {page.photometric!r} {page.axes}; only gray and RGB are known")
    values: np.ndarray = page.asarray()
    if bits == 1:  # booleans
        values = values.astype(np.uint8)
    if page.axes == "SYX":
        values = np.moveaxis(values, 0, -1)
    values = values[..., None] if values.ndim == 2 else values
    if values.shape[:2] != (page.imagelength, page.imagewidth):  # empty without the tags that locate the samples
        raise Refused("cut off or damaged: its samples do not have the size that its header says")
    colours, peak = 3 if page.photometric == RGB else 1, 2**bits - 1
    if values.shape[-1] < colours:
        raise Refused(f"has {values.shape[-1]} samples for each pixel, which is not RGB")
    colour, alpha = values[..., :colours], _alpha(page, values[..., colours:])
    if page.photometric == MIN_IS_WHITE:
        colour = (peak - colour).astype(colour.dtype)
    if alpha is not None and page.extrasamples[:1] == (PREMULTIPLIED,):
        colour = unpremultiplied(colour, alpha, peak)
    return Samples(colour, alpha, peak=peak, gray=colours == 1)


def _alpha(page: TiffPage, extra: np.ndarray) -> np.ndarray | None:
    """The first extra sample if it is alpha: by the tag, or without a tag; unspecified samples are not."""
    if extra.shape[-1] == 0:
        return None
    kind = page.extrasamples[0] if page.extrasamples else UNASSOCIATED
    return extra[..., 0] if kind in (PREMULTIPLIED, UNASSOCIATED) else None


def _pages(tiff: TiffFile) -> Iterator[TiffPage]:
    """The first `MAX_PAGES` pages with their sub-pages."""
    for index, page in enumerate(tiff.pages):
        if index >= MAX_PAGES:
            return
        for each in (page, *(page.pages or ())):
            yield each.aspage()


def _is_camera_raw(tiff: TiffFile) -> bool:
    first = tiff.pages.first
    if DNG_VERSION in first.tags:
        return True
    return any(page.photometric in (CFA, LINEAR_RAW) for page in (first, *(first.pages or ())))


def _full_page(tiff: TiffFile) -> TiffPage:
    """The first page, or the largest one if the first is marked as a reduced version of another."""
    first = tiff.pages.first
    if not _is_reduced(first):
        return first
    full = [page for page in _pages(tiff) if not _is_reduced(page)]
    return max(full, key=lambda page: page.imagewidth * page.imagelength, default=first)


def _is_reduced(page: TiffPage) -> bool:
    return bool(page.subfiletype & 1)
