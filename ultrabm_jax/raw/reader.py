"""Reads a camera raw file as a `Mosaic`, opening it once: `read_raw(path)`.

LibRaw (through rawpy) decodes the visible area and provides the levels; DNG's own tags are used where LibRaw cannot
express their black levels (dng_tags.py). Where a file has no levels or impossible ones (white not above black), those
of the camera table are used (levels.py). The orientation is reported and not applied: row 0 is the sensor's.

Files without a header cannot be read, because they state neither size nor pattern nor levels. An .npy file with a
packed RGGB mosaic (h/2, w/2, 4) uint16 can be read if its levels are given.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ultrabm_jax.errors import UserError, first_line
from ultrabm_jax.image import BadImage
from ultrabm_jax.image.bad_image import require_file
from ultrabm_jax.raw.cfa import CANONICAL, PERIOD, UnknownCFA, identify
from ultrabm_jax.raw.dng_tags import default_crop, dng_black
from ultrabm_jax.raw.levels import SOURCES, Levels, are_valid, camera_levels, normalise
from ultrabm_jax.raw.raw_file import RawFile, open_raw, tag_errors
from ultrabm_jax.raw.tags import BLACK, MASKED_AREAS, WHITE, read_metadata

RAW_SUFFIXES = {
    ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".kdc", ".mef", ".mos", ".mrw",
    ".nef", ".npy", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw",
}  # fmt: skip
CAMERA_SUFFIXES = RAW_SUFFIXES - {".npy"}  # without packed mosaics
SEARCH_SIDE = 12  # side of the corner searched for the filter array's period: 2, 3, 4 and 6 divide it
MASKED_TOLERANCE = 2  # samples: LibRaw rounds down
EXIF_ORIENTATION = (1, 2, 4, 3, 5, 8, 6, 7)  # by LibRaw's flip: bit 0 flips columns, bit 1 rows, bit 2 then transposes


@dataclass(frozen=True, eq=False)
class Mosaic:
    """A mosaic in canonical phase: it starts with RGGB (Bayer), or as SID's X-Trans packing expects (cfa.py).

    values        (h, w) uint16 as in the file, rows and columns in the sensor's order
    cfa           "bayer" or "xtrans"
    black         (p, q) float32, repeated over the mosaic; p = q = 2 for Bayer and 6 for X-Trans, unless a DNG file
                  gives a larger pattern or (h, w)
    white         the level of saturation
    exposure      seconds; make and model are "", iso and exposure None if the file does not state them
    orientation   EXIF's number, 1 to 8: how to show the mosaic upright (1: as it is)
    crop          (top, left) cut from the visible area to reach the canonical phase
    final         rows and columns that the final image shows (DNG's default crop), or None for all
    notes         one line each on what the file lacks
    """

    values: np.ndarray
    cfa: str
    black: np.ndarray
    white: float
    make: str = ""
    model: str = ""
    iso: int | None = None
    exposure: float | None = None
    orientation: int = 1
    crop: tuple[int, int] = (0, 0)
    final: tuple[slice, slice] | None = None
    notes: tuple[str, ...] = ()

    @property
    def samples(self) -> np.ndarray:
        """(h, w) float32 in [0, 1], 0 at the black level and 1 at the white level; computed at each access."""
        return normalise(self.values, self.black, self.white)


def is_raw(path: Path) -> bool:
    """Whether the name is that of a camera raw file (hidden files are not)."""
    return path.suffix.lower() in RAW_SUFFIXES and not path.name.startswith(".") and path.is_file()


def read_raw(path: str | os.PathLike[str], *, levels: str | Levels = "file") -> Mosaic:
    """The mosaic of one file; `BadImage` names a file that cannot be read.

    levels   "file": the file's own; "table": the camera table's if it has the camera, as SID and RED do;
             `Levels(black, white)`: these numbers, None standing for the file's
    """
    if isinstance(levels, str) and levels not in SOURCES:
        raise UserError(f"levels={levels!r} is not known; choose file or table, or give Levels(black, white)")
    path = Path(path)
    if path.suffix.lower() == ".npy":
        return _read_packed(path, levels)
    with open_raw(path) as file:
        return mosaic_of(file, levels=levels)


def mosaic_of(file: RawFile, *, levels: str | Levels = "file") -> Mosaic:
    """The mosaic of an open file, a copy of its samples; arguments as `read_raw`."""
    cfa, indices, crop = canonical_phase(file)
    libraw, sizes = file.libraw, file.libraw.sizes
    (top, left), path = crop, file.path
    values = libraw.raw_image_visible[top:, left:].copy()  # LibRaw frees its memory when it is closed
    indices = np.roll(indices, (-top, -left), (0, 1))
    black = np.array(libraw.black_level_per_channel, np.float32)[indices]
    with tag_errors(path):
        misread = file.tags.misread
        make, model, iso, exposure = read_metadata(file.tags, libraw)
        origin = (sizes.top_margin + top, sizes.left_margin + left)
        exact = dng_black(file.tags, period=PERIOD[cfa], origin=origin, size=values.shape)
        final, notes = default_crop(file.tags, origin=origin, size=values.shape)
    if misread:
        raise BadImage(path, misread)
    mosaic = Mosaic(
        values, cfa, black if exact is None else exact, float(libraw.white_level), make, model, iso, exposure,
        EXIF_ORIENTATION[sizes.flip], crop, final, notes,
    )  # fmt: skip
    return _with_levels(file, mosaic, levels)


def canonical_phase(file: RawFile) -> tuple[str, np.ndarray, tuple[int, int]]:
    """(cfa, LibRaw's colour numbers of one period of the visible area, crop to the canonical phase)."""
    path, libraw, sizes = file.path, file.libraw, file.libraw.sizes
    if min(sizes.height, sizes.width) < SEARCH_SIDE:
        raise BadImage(path, f"{sizes.width}x{sizes.height} is too small for a mosaic")
    if libraw.num_colors < 3:
        raise BadImage(path, "has no colour filter array (a monochrome sensor)")
    indices = np.array([
        [libraw.raw_color(sizes.top_margin + y, sizes.left_margin + x) for x in range(SEARCH_SIDE)]
        for y in range(SEARCH_SIDE)
    ])  # fmt: skip
    names = libraw.color_desc.decode("ascii", "replace")
    try:
        with tag_errors(path):
            declared = file.tags.pattern
        if declared is not None:
            identify(declared)
        cfa, crop = identify(np.array([["RGB".find(names[i : i + 1] or "?") for i in row] for row in indices]))
    except UnknownCFA as error:
        raise BadImage(path, str(error)) from error
    return cfa, indices[: PERIOD[cfa], : PERIOD[cfa]], crop


def _black_notes(file: RawFile, black: np.ndarray) -> list[str]:
    """Notes on the black levels of a file to which none were given."""
    tags = file.tags
    if tags.black_is_measured and black.any():
        return [f"the file has no black level; {black.mean():.1f} is measured on its masked areas"]
    if not black.any() and not (tags.is_dng and BLACK in tags.mosaic):
        return ["the file has no black level and 0 is used; give --levels BLACK,WHITE if black is not 0"]
    if MASKED_AREAS not in tags.mosaic:
        return []
    levels, side = file.libraw.black_level_per_channel, range(SEARCH_SIDE)
    measured = np.mean([levels[file.libraw.raw_color(y, x)] for y in side for x in side])
    if abs(measured - black.mean()) < MASKED_TOLERANCE:
        return []
    return [f"its black level {black.mean():.1f} is used; its masked areas have {measured:.1f}"]


def _with_levels(file: RawFile, mosaic: Mosaic, levels: str | Levels) -> Mosaic:
    """The mosaic with the requested levels, and notes on missing ones."""
    table = camera_levels(mosaic.make, mosaic.model)
    replaced = table is not None and (levels == "table" or not are_valid(mosaic.black, mosaic.white))
    if table is not None and replaced:
        mosaic = _replace(mosaic, table)
    given = Levels(None, None) if isinstance(levels, str) else levels
    if file.tags.black_is_measured and given.black is None and not replaced and file.tags.masks_are_lit:
        raise BadImage(
            file.path, "has no black level, and masked areas inside its active area; give --levels BLACK,WHITE"
        )
    mosaic = _replace(mosaic, given)
    if not are_valid(mosaic.black, mosaic.white):
        reason = f"its levels are impossible (black {mosaic.black.max():g}, white {mosaic.white:g})"
        raise BadImage(
            file.path,
            f"{reason} and {mosaic.make} {mosaic.model} is not in the camera table; give both (--levels BLACK,WHITE)",
        )
    if replaced:
        return mosaic
    notes = [*mosaic.notes]
    if given.black is None:
        notes += _black_notes(file, mosaic.black)
    if given.white is None and file.tags.is_dng and WHITE not in file.tags.mosaic:
        notes.append(f"the file has no white level and {mosaic.white:g} is used; --levels BLACK,WHITE gives another")
    return replace(mosaic, notes=tuple(notes))


def _replace(mosaic: Mosaic, levels: Levels) -> Mosaic:
    if levels.black is not None:
        mosaic = replace(mosaic, black=np.full((PERIOD[mosaic.cfa],) * 2, levels.black, np.float32))
    return mosaic if levels.white is None else replace(mosaic, white=float(levels.white))


def _read_packed(path: Path, levels: str | Levels) -> Mosaic:
    if isinstance(levels, str) or levels.black is None or levels.white is None:
        raise BadImage(path, "an .npy file has no levels; give both black and white")
    try:
        require_file(path)
        # Mapped instead of read: a wrong size in the header must not allocate memory.
        packed = np.lib.format.open_memmap(path, mode="r")
    except (UserError, MemoryError):
        raise
    except Exception as error:  # the header is Python text: SyntaxError, TypeError, OverflowError ...
        raise BadImage(path, f"cannot be decoded ({first_line(error)})") from error
    if packed.ndim != 3 or packed.shape[2] != 4 or packed.dtype != np.uint16:
        raise BadImage(path, f"holds {packed.dtype} {packed.shape}; expected a packed RGGB mosaic, uint16 (h, w, 4)")
    rows, columns, _ = packed.shape
    values = packed.reshape(rows, columns, 2, 2).swapaxes(1, 2).reshape(2 * rows, 2 * columns)
    black = np.full(CANONICAL["bayer"].shape, levels.black, np.float32)
    return Mosaic(values, "bayer", black, float(levels.white))
