"""A camera raw file as the samples of its sensor: `read_mosaic(path)`.

    values    (h, w) uint16 as in the file, visible area, cropped at the top and left to the canonical phase (cfa.py)
    black     (p, p) float32, the black level of each position of the colour filter array; p = 2 Bayer, 6 X-Trans
    white     the level of saturation, one for all
    normalise(values, black, white) = max(values - black, 0) / (white - black)

LibRaw (through rawpy) decodes and knows the levels. Where a file has none, or nonsense (white not above black), the
camera table is used (cameras.py); `levels="table"` uses it for every camera it knows, as SID and RED do. Orientation
tags are ignored: row 0 is the sensor's. Files without a header cannot be read: nothing in them says their size,
pattern or levels. An .npy file with packed RGGB (h/2, w/2, 4) uint16 can, when its levels are given.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.image.decode import BadImage, require_file
from ultrabm_jax.raw.cameras import Levels, table_levels
from ultrabm_jax.raw.cfa import CANONICAL, PERIOD, UnknownCFA, identify
from ultrabm_jax.raw.libraw import open_header, open_raw, words
from ultrabm_jax.raw.metadata import declared_pattern, read_metadata

RAW_SUFFIXES = {
    ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".kdc", ".mef", ".mos", ".mrw",
    ".nef", ".npy", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw",
}  # fmt: skip
LOOK = 12  # side of the corner in which the period of the filter array is looked for: 2, 3, 4 and 6 divide it


@dataclass(frozen=True, eq=False)
class Mosaic:
    """Samples of a sensor; `crop` is the (top, left) that was cut from the visible area to reach canonical phase."""

    values: np.ndarray
    cfa: str
    black: np.ndarray
    white: float
    make: str = ""
    model: str = ""
    iso: int | None = None
    exposure: float | None = None
    crop: tuple[int, int] = (0, 0)

    def normalised(self) -> np.ndarray:
        """(h, w) float32, 0 at black and 1 at white; above 1 where the sensor gave more."""
        return normalise(self.values, self.black, self.white)


def normalise(values: np.ndarray, black: np.ndarray, white: float) -> np.ndarray:
    """(h, w) in canonical phase -> max(values - black, 0) / (white - black), float32."""
    level = tile_to(np.asarray(black, np.float32), values.shape)
    return np.maximum(values.astype(np.float32) - level, 0) / (np.float32(white) - level)


def tile_to(tile: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """(p, p) repeated to (h, w)."""
    height, width = size
    times = (-(-height // len(tile)), -(-width // len(tile)))
    return np.tile(tile, times)[:height, :width]


def is_raw(path: Path) -> bool:
    """Whether the name is that of a camera raw file (hidden files are not)."""
    return path.suffix.lower() in RAW_SUFFIXES and not path.name.startswith(".") and path.is_file()


def read_raw_size(path: Path) -> tuple[int, int]:
    """(h, w) of the visible area by the header alone; `read_mosaic` may crop up to a period less one."""
    with open_header(path) as raw:
        return raw.sizes.height, raw.sizes.width


def read_mosaic(path: Path, *, levels: str = "file", black: float | None = None, white: float | None = None) -> Mosaic:
    """The samples of one file; `BadImage` names what cannot be read.

    `levels`: "file", or "table" for the camera table first. `black` and `white` go before both.
    """
    if levels not in ("file", "table"):
        raise UserError(f"levels={levels!r} is not known; choose file or table")
    path = Path(path)
    if path.suffix.lower() == ".npy":
        return _read_packed(path, black, white)
    with open_raw(path) as raw:
        mosaic = _mosaic_of(path, raw)
    table = table_levels(mosaic.make, mosaic.model)
    if table is not None and (levels == "table" or not _sensible(mosaic.black, mosaic.white)):
        mosaic = _with_levels(mosaic, *table)
    mosaic = _with_levels(mosaic, black, white)
    if not _sensible(mosaic.black, mosaic.white):
        reason = f"its levels make no sense (black {mosaic.black.max():g}, white {mosaic.white:g})"
        raise BadImage(path, f"{reason} and {mosaic.make} {mosaic.model} is not in the camera table; give both levels")
    return mosaic


def visible_phase(path: Path, raw: Any) -> tuple[str, np.ndarray, tuple[int, int]]:
    """(cfa, colour indices of one period of the visible area, crop to canonical phase) of an opened file."""
    sizes = raw.sizes
    if min(sizes.height, sizes.width) < LOOK:
        raise BadImage(path, f"{sizes.width}x{sizes.height} is too small for a mosaic")
    if raw.num_colors < 3:
        raise BadImage(path, "has no colour filter array (a monochrome sensor)")
    indices = np.array([
        [raw.raw_color(sizes.top_margin + y, sizes.left_margin + x) for x in range(LOOK)] for y in range(LOOK)
    ])  # fmt: skip
    names = raw.color_desc.decode("ascii", "replace")
    with _tags_of(path):
        declared = declared_pattern(path)
    try:
        if declared is not None:
            identify(declared)
        cfa, crop = identify(np.array([["RGB".find(names[i : i + 1] or "?") for i in row] for row in indices]))
    except UnknownCFA as error:
        raise BadImage(path, str(error)) from error
    return cfa, indices[: PERIOD[cfa], : PERIOD[cfa]], crop


def _mosaic_of(path: Path, raw: Any) -> Mosaic:
    cfa, indices, crop = visible_phase(path, raw)
    top, left = crop
    black = np.roll(np.array(raw.black_level_per_channel, np.float32)[indices], (-top, -left), (0, 1))
    values = np.ascontiguousarray(raw.raw_image_visible[top:, left:])  # a copy: LibRaw's own goes when it is closed
    with _tags_of(path):
        metadata = read_metadata(path, raw)
    return Mosaic(values.copy(), cfa, black, float(raw.white_level), crop=crop, **metadata)


@contextmanager
def _tags_of(path: Path) -> Iterator[None]:
    """Whatever is raised by tags that LibRaw took and others cannot read becomes a `BadImage`."""
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:  # IndexError, struct.error, TypeError ...
        raise BadImage(path, f"its tags cannot be read ({words(error)})") from error


def _with_levels(mosaic: Mosaic, black: float | None, white: float | None) -> Mosaic:
    if black is not None:
        mosaic = replace(mosaic, black=np.full_like(mosaic.black, black))
    return mosaic if white is None else replace(mosaic, white=float(white))


def _sensible(black: np.ndarray, white: float) -> bool:
    return bool((black >= 0).all() and white > black.max())


def _read_packed(path: Path, black: float | None, white: float | None) -> Mosaic:
    if black is None or white is None:
        raise BadImage(path, "an .npy file carries no levels; give both black and white")
    try:
        require_file(path)
        # Not read but mapped: a size that the header only claims takes no memory.
        packed = np.lib.format.open_memmap(path, mode="r")
    except (UserError, MemoryError):
        raise
    except Exception as error:  # the header is Python text: SyntaxError, TypeError, OverflowError ...
        raise BadImage(path, f"cannot be decoded ({words(error)})") from error
    if packed.ndim != 3 or packed.shape[2] != 4 or packed.dtype != np.uint16:
        raise BadImage(path, f"holds {packed.dtype} {packed.shape}; expected a packed RGGB mosaic, uint16 (h, w, 4)")
    rows, columns, _ = packed.shape
    values = packed.reshape(rows, columns, 2, 2).swapaxes(1, 2).reshape(2 * rows, 2 * columns)
    level = np.full(CANONICAL["bayer"].shape, black, np.float32)
    return Mosaic(values, "bayer", level, Levels(black, white).white)
