"""Scenes for a synthetic SID: linear light of a mosaic, from a photo or a raw file.

    light (h, w) float32, canonical phase: 0 no light, 1 saturation of the long exposure

A photo (8-bit sRGB) is converted to linear light by the inverse sRGB curve, and each colour is divided by GAINS, a
white balance in the middle of the ranges that Brooks et al., CVPR 2019 ("Unprocessing"), section 3.2, draw from (red
1.9 to 2.4, blue 1.5 to 1.9). The camera's primaries are assumed to be sRGB's, and each sample is one colour of its
pixel. The photo's tone curve, noise reduction, sharpening, compression and demosaicing artefacts are not undone. A raw
file keeps its colours, filter array and noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ultrabm_jax.image import BadImage, read_rgb_uint8
from ultrabm_jax.image.colour import linear_from_srgb
from ultrabm_jax.raw.cfa import CANONICAL
from ultrabm_jax.raw.dng import SRGB_FROM_XYZ
from ultrabm_jax.raw.levels import Levels, tile_to
from ultrabm_jax.raw.noise import SensorNoise, expose
from ultrabm_jax.raw.raw_file import RawFile, open_raw
from ultrabm_jax.raw.reader import is_raw, mosaic_of, read_raw
from ultrabm_jax.raw.rendering import check_xtrans_size

GAINS = (2.15, 1.0, 1.7)  # white balance of red, green, blue
NEUTRAL = (1 / GAINS[0], 1 / GAINS[1], 1 / GAINS[2])


@dataclass(frozen=True, eq=False)
class Scene:
    """Linear light on a mosaic, the colour of a white surface, and CIE XYZ to camera (None: as dng.py's default)."""

    light: np.ndarray
    cfa: str
    neutral: tuple[float, float, float]
    matrix: np.ndarray | None = None


def read_scene(path: Path, *, cfa: str, levels: Levels | None = None) -> Scene:
    """A photo or a raw file as a scene of this filter array; `levels` are those of .npy files, which have none."""
    scene = _of_raw(path, levels) if is_raw(path) else _of_photo(path, cfa)
    if scene.cfa != cfa:
        raise BadImage(path, f"is a mosaic of {scene.cfa}, not of {cfa}")
    if cfa == "xtrans":
        check_xtrans_size(path, *scene.light.shape)
    return scene


def expose_scene(
    scene: Scene,
    *,
    black: float,
    white: float,
    ratio: float,
    noise: SensorNoise | None,
    rng: np.random.Generator,
) -> np.ndarray:
    """The scene at 1/ratio of the long exposure, (h, w) uint16."""
    signal = scene.light.astype(np.float64) * ((white - black) / ratio)
    return expose(signal, black=black, white=white, noise=noise, rng=rng)


def mosaic_from_rgb(image: np.ndarray, pattern: np.ndarray) -> np.ndarray:
    """(h, w, 3) -> (h, w): at each pixel the colour that the pattern has there."""
    colour = tile_to(pattern, image.shape[:2]).astype(np.intp)
    return np.take_along_axis(image, colour[..., None], axis=2)[..., 0]


def _of_photo(path: Path, cfa: str) -> Scene:
    light = linear_from_srgb(np.arange(256) / 255).astype(np.float32)[read_rgb_uint8(path)]
    return Scene(mosaic_from_rgb(light * np.array(NEUTRAL, np.float32), CANONICAL[cfa]), cfa, NEUTRAL)


def _of_raw(path: Path, levels: Levels | None) -> Scene:
    if path.suffix.lower() == ".npy":  # has neither levels nor colours
        packed = read_raw(path, levels=levels or Levels(None, None))
        return Scene(packed.samples, packed.cfa, NEUTRAL)
    with open_raw(path) as file:
        mosaic = mosaic_of(file)
        return Scene(mosaic.samples, mosaic.cfa, *_colours(file))


def _colours(file: RawFile) -> tuple[tuple[float, float, float], np.ndarray | None]:
    """(the colour of a white surface, CIE XYZ to camera) of a raw file; no matrix is known of the oldest cameras."""
    red, green, blue = file.libraw.camera_whitebalance[:3]
    neutral = (green / red, 1.0, green / blue) if min(red, green, blue) > 0 else NEUTRAL
    to_srgb = np.array(file.libraw.color_matrix[:, :3], float)
    daylight = np.array(file.libraw.daylight_whitebalance[:3])
    return neutral, np.linalg.inv(to_srgb * daylight) @ SRGB_FROM_XYZ if to_srgb.any() else None
