"""The reader of image files, for training, evaluation, restoring and metrics.

`read_image` returns all that a file holds; `read_rgb_uint8` returns what training needs, by the same decoder;
`read_size` reads the header alone. All raise `BadImage`, one line that names the file and the reason.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ultrabm_jax.image.colour_space import profile_notes, rgb_profile
from ultrabm_jax.image.decode import decode
from ultrabm_jax.image.formats import LOSSY
from ultrabm_jax.image.metadata import dpi_of, exif_bytes, symmetry_of, upright_size
from ultrabm_jax.image.open import frames_of, open_image
from ultrabm_jax.image.samples import Region, Samples

GRAY_TOLERANCE = 2  # of 255, in lossy formats: R, G and B of a gray image may differ by rounding


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
    """Decodes `path`; see decode.py for what happens to each kind of image."""
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
