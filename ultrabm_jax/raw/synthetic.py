"""Scenes for a synthetic SID: what a sensor would see of a photo, or what one saw in a raw file.

    light (h, w) float32, canonical phase: 0 no light, 1 saturation of the long exposure

A photo (8-bit sRGB) goes to linear light by the inverse sRGB curve, and each colour is weakened by the inverse of
GAINS, a white balance in the middle of those that Brooks et al., CVPR 2019 ("Unprocessing"), section 3.2, draw (red 1.9
to 2.4, blue 1.5 to 1.9). The camera's primaries are taken to be sRGB's, and each sample is one colour of its pixel.
Not undone: tone curve, noise reduction, sharpening and compression of the photo, and the colours that its own
demosaicing invented. A raw file keeps its colours, filter array and noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ultrabm_jax.image.colour import linear_from_srgb
from ultrabm_jax.image.decode import BadImage, read_rgb_uint8
from ultrabm_jax.raw.cameras import Levels
from ultrabm_jax.raw.cfa import CANONICAL
from ultrabm_jax.raw.dng import SRGB_FROM_XYZ
from ultrabm_jax.raw.libraw import open_raw
from ultrabm_jax.raw.mosaic import is_raw, read_mosaic, tile_to
from ultrabm_jax.raw.noise import SensorNoise, expose
from ultrabm_jax.raw.rendering import XTRANS_MINIMUM

GAINS = (2.15, 1.0, 1.7)  # white balance of red, green, blue
NEUTRAL = (1 / GAINS[0], 1 / GAINS[1], 1 / GAINS[2])


@dataclass(frozen=True, eq=False)
class Scene:
    """Linear light on a mosaic, the colour of a white surface, and CIE XYZ to camera (None: as dng.py's default)."""

    light: np.ndarray
    cfa: str
    neutral: tuple[float, float, float]
    matrix: np.ndarray | None = None


def read_scene(path: Path, *, cfa: str, black: float | None = None, white: float | None = None) -> Scene:
    """A photo or a raw file as a scene of this filter array; `black` and `white` of .npy files."""
    scene = _of_raw(path, black, white) if is_raw(path) else _of_photo(path, cfa)
    if scene.cfa != cfa:
        raise BadImage(path, f"is a mosaic of {scene.cfa}, not of {cfa}")
    if cfa == "xtrans" and min(scene.light.shape) < XTRANS_MINIMUM:
        height, width = scene.light.shape
        raise BadImage(path, f"{width}x{height}: LibRaw renders X-Trans from {XTRANS_MINIMUM}x{XTRANS_MINIMUM} on")
    return scene


def take(
    scene: Scene, *, levels: Levels, ratio: float, noise: SensorNoise | None, rng: np.random.Generator
) -> np.ndarray:
    """The scene at 1/ratio of the long exposure, (h, w) uint16."""
    signal = scene.light.astype(np.float64) * ((levels.white - levels.black) / ratio)
    return expose(signal, black=levels.black, white=levels.white, noise=noise, rng=rng)


def mosaic_of(image: np.ndarray, pattern: np.ndarray) -> np.ndarray:
    """(h, w, 3) -> (h, w): at each pixel the colour that the pattern has there."""
    colour = tile_to(pattern, image.shape[:2]).astype(np.intp)
    return np.take_along_axis(image, colour[..., None], axis=2)[..., 0]


def _of_photo(path: Path, cfa: str) -> Scene:
    light = linear_from_srgb(np.arange(256) / 255).astype(np.float32)[read_rgb_uint8(path)]
    return Scene(mosaic_of(light * np.array(NEUTRAL, np.float32), CANONICAL[cfa]), cfa, NEUTRAL)


def _of_raw(path: Path, black: float | None, white: float | None) -> Scene:
    bare = path.suffix.lower() == ".npy"  # carries neither levels nor colours
    mosaic = read_mosaic(path, black=black, white=white) if bare else read_mosaic(path)
    light = np.minimum(mosaic.normalised(), 1)
    if bare:
        return Scene(light, mosaic.cfa, NEUTRAL)
    with open_raw(path) as raw:
        red, green, blue = raw.camera_whitebalance[:3]
        to_srgb, daylight = np.array(raw.color_matrix[:, :3], float), np.array(raw.daylight_whitebalance[:3])
    neutral = (green / red, 1.0, green / blue) if min(red, green, blue) > 0 else NEUTRAL
    matrix = None  # of the oldest cameras none is known
    if to_srgb.any():
        matrix = np.linalg.inv(to_srgb * daylight) @ SRGB_FROM_XYZ
    return Scene(light, mosaic.cfa, neutral, matrix)
