"""TIFF files that Pillow cannot read or would cut to 8 bits, decoded by tifffile: 9 to 16 bits, planes, alpha.

Uncompressed YCbCr is decoded here, too, because Pillow 12 takes its own files of this kind for truncated ones.

Refused with the reason: camera raw, floating-point, signed and wider integers (their white is not defined), and
colour spaces other than gray and RGB.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import PIL.Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from ultrabm_jax.image.bad_image import Refused
from ultrabm_jax.image.codecs import codec
from ultrabm_jax.image.samples import Samples, unpremultiplied

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the latter two: BigTIFF
CAMERA_RAW = "a camera raw file; restore it with a model for camera raw (--model red), or develop it to PNG first"
DNG_VERSION, ORIENTATION, XMP = 50706, 274, 700
COLOR_MAP, YCBCR_SUBSAMPLING, REFERENCE_BLACK_WHITE = 320, 530, 532
INK_SET, DOT_RANGE, SAMPLE_FORMAT = 332, 336, 339
CMYK_INKS = 1  # of the InkSet tag; others name their inks
CUT_OFF = "cut off or damaged: its samples do not have the size that its header says"
FULL_RANGE_YCBCR = (0, 255, 128, 255, 128, 255)
# Photometric interpretations.
MIN_IS_WHITE, MIN_IS_BLACK, RGB, PALETTE, SEPARATED, YCBCR, CFA, LINEAR_RAW = 0, 1, 2, 3, 5, 6, 32803, 34892
WEBP = 50001  # compression that Pillow's libtiff may lack; it prints that to standard error
UNSIGNED, SIGNED, UNDEFINED = 1, 2, 4  # sample formats
PREMULTIPLIED, UNASSOCIATED = 1, 2  # kinds of extra samples
XMP_ORIENTATION = re.compile(rb"tiff:Orientation\s*(?:=\s*[\"']|>)\s*([1-8])")
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
    tiff: TiffFile = stack.enter_context(_open(file))
    if _is_camera_raw(tiff):
        raise Refused(CAMERA_RAW)
    page = _full_page(tiff)
    plain = page.sampleformat in (UNSIGNED, UNDEFINED) and page.bitspersample in (1, 2, 4, 8)
    plain = plain and page.compression != WEBP
    _refuse_what_pillow_misreads(page)
    is_special = _has_special_extra_samples(page) or _is_uncompressed_ycbcr(page)
    if plain and page is tiff.pages.first and not needed and not is_special:
        return None
    return page


def _open(file: BinaryIO) -> TiffFile:
    """Opens a TIFF. Raises `Refused` for samples of several formats, about which tifffile raises a TypeError."""
    try:
        tiff: TiffFile = codec("tifffile").TiffFile(file)
    except TypeError:
        file.seek(0)
        directory = ImageFileDirectory_v2(file.read(8))
        file.seek(directory.next)
        directory.load(file)
        formats = directory.get(SAMPLE_FORMAT)
        if isinstance(formats, tuple) and len(set(formats)) > 1:
            raise Refused(f"samples of different formats {formats}; convert it to 8 or 16 bits") from None
        raise
    return tiff


def orientation_of(page: TiffPage) -> int:
    """The Orientation tag, else XMP's orientation, else 1."""
    value = page.tags.valueof(ORIENTATION)
    if value is None:
        return xmp_orientation(page.tags.valueof(XMP))
    return value if isinstance(value, int) else 1


def xmp_orientation(xmp: object) -> int:
    """The tiff:Orientation of an XMP packet, 1 if it states none."""
    match = XMP_ORIENTATION.search(xmp if isinstance(xmp, bytes) else str(xmp or "").encode())
    return int(match[1]) if match else 1


def _has_special_extra_samples(page: TiffPage) -> bool:
    """Whether 8-bit gray or RGB has extra samples other than one unassociated alpha, which Pillow reads correctly."""
    known = page.bitspersample == 8 and page.photometric in (MIN_IS_WHITE, MIN_IS_BLACK, RGB)
    return known and tuple(page.extrasamples) not in ((), (UNASSOCIATED,))


def _is_uncompressed_ycbcr(page: TiffPage) -> bool:
    return page.photometric == YCBCR and page.compression == 1


def _refuse_what_pillow_misreads(page: TiffPage) -> None:
    if _is_uncompressed_ycbcr(page):
        levels = page.tags.valueof(REFERENCE_BLACK_WHITE)
        whole = levels is None or tuple(np.array(levels, float).reshape(-1, 2) @ (1, 0)) == FULL_RANGE_YCBCR
        if not whole or page.tags.valueof(YCBCR_SUBSAMPLING, default=(2, 2)) != (1, 1):
            raise Refused("an uncompressed YCbCr TIFF that is subsampled or of narrow range; convert it to RGB")
    if page.photometric == SEPARATED:
        if page.tags.valueof(INK_SET, default=CMYK_INKS) != CMYK_INKS:
            raise Refused("a TIFF of inks other than CMYK (InkSet); convert it to RGB")
        if tuple(np.atleast_1d(page.tags.valueof(DOT_RANGE, default=(0, 255)))[:2]) not in ((0, 255), (0, 65535)):
            raise Refused("a CMYK TIFF with a DotRange other than 0 to 255; convert it to RGB")
    if page.photometric == PALETTE and 0 < np.max(page.tags.valueof(COLOR_MAP, default=0)) < 256:
        raise Refused("a TIFF palette with entries of 8 bits where the format has 16; convert it to PNG")


def decode_page(page: TiffPage) -> Samples:
    """The samples as stored, orientation not applied."""
    bits, kind = page.bitspersample, page.sampleformat
    if not (isinstance(bits, int) and isinstance(kind, int)):
        raise Refused(f"samples of different depths or formats ({bits}, {kind}); convert it to 8 or 16 bits")
    if kind not in (UNSIGNED, SIGNED, UNDEFINED):
        raise Refused("floating-point images have no defined range; convert it to 8 or 16 bits")
    if kind == SIGNED or bits > MAX_BITS:
        sign = "signed " if kind == SIGNED else ""
        raise Refused(f"{sign}{bits}-bit images have no defined range; convert it to 8 or 16 bits")
    if page.size > 8 * page.imagewidth * page.imagelength:
        raise Refused(f"claims {page.size} samples of {page.imagewidth}x{page.imagelength} pixels; damaged")
    if _is_uncompressed_ycbcr(page) and (bits, page.axes, page.samplesperpixel) == (8, "YXS", 3):
        return Samples(_rgb_from_ycbcr(page), None, peak=255, gray=False)
    if page.photometric not in (MIN_IS_WHITE, MIN_IS_BLACK, RGB) or page.axes not in ("YX", "YXS", "SYX"):
        raise Refused(f"a {bits}-bit TIFF of kind {page.photometric!r} {page.axes}; only gray and RGB are known")
    values: np.ndarray = page.asarray()
    if bits == 1:  # booleans
        values = values.astype(np.uint8)
    if page.axes == "SYX":
        values = np.moveaxis(values, 0, -1)
    values = values[..., None] if values.ndim == 2 else values
    if values.shape[:2] != (page.imagelength, page.imagewidth):  # empty without the tags that locate the samples
        raise Refused(CUT_OFF)
    colours, peak = 3 if page.photometric == RGB else 1, 2**bits - 1
    if values.shape[-1] < colours:
        raise Refused(f"has {values.shape[-1]} samples for each pixel, which is not RGB")
    colour, alpha = values[..., :colours], _alpha(page, values[..., colours:])
    if page.photometric == MIN_IS_WHITE:
        colour = (peak - colour).astype(colour.dtype)
    if alpha is not None and PREMULTIPLIED in page.extrasamples:
        colour = unpremultiplied(colour, alpha, peak)
    return Samples(colour, alpha, peak=peak, gray=colours == 1)


def _rgb_from_ycbcr(page: TiffPage) -> np.ndarray:
    """(h, w, 3) uint8 RGB of interleaved full-range YCbCr, as Pillow converts it."""
    values = np.ascontiguousarray(page.asarray())
    if values.shape != (page.imagelength, page.imagewidth, 3):
        raise Refused(CUT_OFF)
    size = (page.imagewidth, page.imagelength)
    return np.asarray(PIL.Image.frombytes("YCbCr", size, values.tobytes()).convert("RGB"))


def _alpha(page: TiffPage, extra: np.ndarray) -> np.ndarray | None:
    """The first extra sample that is alpha by the tag, or the first one without a tag; unspecified samples are not."""
    kinds = page.extrasamples or (UNASSOCIATED,)
    found = (k for k, kind in enumerate(kinds[: extra.shape[-1]]) if kind in (PREMULTIPLIED, UNASSOCIATED))
    index = next(found, None)
    return None if index is None else extra[..., index]


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
