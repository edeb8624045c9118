"""The TIFF tags of a raw file: camera, exposure, filter array and DNG's levels.

DNG, ARW, NEF, CR2 and most others are TIFF files; RAF and CR3 are not. Maker notes are not parsed here: LibRaw does.
Sources: TIFF 6.0, TIFF/EP, Adobe's DNG specification 1.7.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from PIL import Image, UnidentifiedImageError

if TYPE_CHECKING:
    import rawpy
    import tifffile

MAKE, MODEL, ISO, EXIF = 271, 272, 34855, 34665  # the same in TIFF and EXIF
SUBFILE_TYPE, WIDTH, LENGTH, SAMPLE_FORMAT = 254, 256, 257, 339
PHOTOMETRIC = 262
PATTERN_SIZE, PATTERN = 33421, 33422
DNG_VERSION, CFA_PLANE_COLOR = 50706, 50710
BLACK_REPEAT, BLACK, BLACK_DELTA_H, BLACK_DELTA_V, WHITE = 50713, 50714, 50715, 50716, 50717
DEFAULT_CROP_ORIGIN, DEFAULT_CROP_SIZE, ACTIVE_AREA, MASKED_AREAS = 50719, 50720, 50829, 50830
CODES = (
    SUBFILE_TYPE, WIDTH, LENGTH, SAMPLE_FORMAT, MAKE, MODEL, ISO, EXIF, PHOTOMETRIC, PATTERN_SIZE, PATTERN,
    DNG_VERSION, CFA_PLANE_COLOR,
    BLACK_REPEAT, BLACK, BLACK_DELTA_H, BLACK_DELTA_V, WHITE, DEFAULT_CROP_ORIGIN, DEFAULT_CROP_SIZE, ACTIVE_AREA,
    MASKED_AREAS,
)  # fmt: skip
CFA_IMAGE, LINEAR_RAW = 32803, 34892  # photometric interpretations
RATIONALS = (5, 10)  # TIFF types
FLOATING = 3  # sample format
MAX_PAGES = 16  # that are read, without their sub-pages
NOT_RAW = "{}, not a camera raw file; if it is an image, rename it and restore it with a model for images"
DEMOSAICED = "already demosaiced (linear DNG, sRAW or Foveon: all colours at each pixel); give the camera's own mosaic"


Value: TypeAlias = Any  # of a tag: a number, a tuple, text, bytes, or a dictionary of EXIF tags


@dataclass(frozen=True)
class Tags:
    """{number: value} of each page: the first, its sub-pages, where most cameras put the mosaic, then the others."""

    pages: tuple[Mapping[int, Value], ...] = field(default=())

    def get(self, code: int) -> Value:
        """The value on the first page that has the tag, or None."""
        return next((page[code] for page in self.pages if code in page), None)

    @property
    def is_dng(self) -> bool:
        """Whether the file has a DNGVersion tag."""
        return DNG_VERSION in (self.pages[0] if self.pages else {})

    @property
    def mosaic(self) -> Mapping[int, Value]:
        """The largest page that is marked as holding raw samples, as LibRaw takes it, or {}."""
        raw = [page for page in self.pages if page.get(PHOTOMETRIC) in (CFA_IMAGE, LINEAR_RAW)]
        return max(raw, key=_is_full_and_pixels, default={})

    @property
    def misread(self) -> str | None:
        """What LibRaw gives otherwise than a DNG states it, or None."""
        page = self.mosaic
        if self.is_dng and FLOATING in np.atleast_1d(page.get(SAMPLE_FORMAT, 1)):
            return "has floating-point samples, whose scale LibRaw changes; convert it to integers"
        colours = page.get(CFA_PLANE_COLOR)
        if colours is not None and bytes(colours) != b"\0\1\2":
            return f"has CFAPlaneColor {tuple(bytes(colours))}; only red, green, blue (0, 1, 2) is read"
        return None

    @property
    def black_is_measured(self) -> bool:
        """Whether the black levels of a DNG are those of its masked areas, because it states none."""
        return self.is_dng and MASKED_AREAS in self.mosaic and BLACK not in self.mosaic

    @property
    def masks_are_lit(self) -> bool:
        """Whether a masked area overlaps the active area; both are (top, left, bottom, right)."""
        page = self.mosaic
        area = page.get(ACTIVE_AREA, (0, 0, page.get(LENGTH, 0), page.get(WIDTH, 0)))
        masks = np.array(page.get(MASKED_AREAS, ())).reshape(-1, 4)
        return bool((np.maximum(masks[:, :2], area[:2]) < np.minimum(masks[:, 2:], area[2:])).all(axis=1).any())

    @property
    def pattern(self) -> np.ndarray | None:
        """The declared filter array, (p, q) with 0 red, 1 green, 2 blue and others above, or None.

        LibRaw supports arrays of 8x2 and of 6x6; of a larger one, such as Quad Bayer's 4x4, it silently keeps a part.
        """
        size, values = self.get(PATTERN_SIZE), self.get(PATTERN)
        if size is None or values is None:
            return None
        colours = np.frombuffer(bytes(values), np.uint8)
        return colours.reshape(tuple(size)) if np.prod(size) == len(colours) else None


def read_tags(data: bytes) -> Tags:
    """The tags of a file's content; none if it is not a TIFF file."""
    import tifffile

    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            pages = islice(file.pages, MAX_PAGES)
            return Tags(tuple(_tags_of_page(each) for page in pages for each in (page, *(page.pages or ()))))
    except tifffile.TiffFileError:
        return Tags()


def why_unsupported(data: bytes) -> str | None:
    """The reason why LibRaw cannot decode a TIFF or DNG file, or None if the tags show none."""
    try:
        tags = read_tags(data)
        page = tags.mosaic
    except Exception:  # a file with damaged tags is not supported either
        return None
    if tags.pages and not page and not tags.is_dng:
        return NOT_RAW.format("a TIFF without a mosaic")
    return DEMOSAICED if page.get(PHOTOMETRIC) == LINEAR_RAW else None


def read_metadata(tags: Tags, libraw: rawpy.RawPy) -> tuple[str, str, int | None, float | None]:
    """(make, model, ISO, exposure in seconds); "" or None if the file does not state them."""
    make, model = tags.get(MAKE), tags.get(MODEL)
    if make is None or model is None:
        make, model = _from_thumbnail(libraw)
    iso = round(libraw.other.iso_speed) or tags.get(ISO) or (tags.get(EXIF) or {}).get("ISOSpeedRatings")
    exposure = float(str(np.float32(libraw.other.shutter_speed)))  # a float32: 0.033, not 0.0329999998
    return _one_line(make), _one_line(model), iso if isinstance(iso, int) and iso > 0 else None, exposure or None


def _is_full_and_pixels(page: Mapping[int, Value]) -> tuple[bool, int]:
    return not page.get(SUBFILE_TYPE, 0) & 1, page.get(WIDTH, 0) * page.get(LENGTH, 0)


def _tags_of_page(page: Any) -> dict[int, Value]:  # Any: a TiffPage, or a TiffFrame that has no tags of its own
    page = page.aspage()
    return {code: _value(page.tags[code]) for code in CODES if code in page.tags}


def _value(tag: tifffile.TiffTag) -> Value:
    """A tag's value; rationals as a tuple of floats."""
    if tag.dtype not in RATIONALS:
        return tag.value
    numbers = np.array(tag.value, float).reshape(-1, 2)
    with np.errstate(divide="ignore", invalid="ignore"):  # a level that is not finite is refused later
        return tuple(float(value) for value in numbers[:, 0] / numbers[:, 1])


def _from_thumbnail(libraw: rawpy.RawPy) -> tuple[str, str]:
    """Make and model from the embedded JPEG's EXIF; LibRaw uses its own table where the camera wrote none."""
    import rawpy

    try:
        thumbnail = libraw.extract_thumb()
        if thumbnail.format != rawpy.ThumbFormat.JPEG:
            return "", ""
        with Image.open(io.BytesIO(thumbnail.data)) as image:
            exif = image.getexif()
    except (rawpy.LibRawError, rawpy.NotSupportedError, UnidentifiedImageError, OSError):
        return "", ""
    return exif.get(MAKE, ""), exif.get(MODEL, "")


def _one_line(text: object) -> str:
    return " ".join(str(text).replace("\0", " ").split())
