"""Mosaics as RGB images, without a network.

`render_reference` renders a raw file as SID and RED render their ground truth: LibRaw with the camera's white balance,
no automatic brightness, full size, 16 bits, everything else at its default (sRGB, BT.709 curve, AHD or Markesteijn
demosaicing, highlights clipped), as SID's code calls it. Deviations: the orientation tag is ignored, and the top and
left are cropped as `read_raw` crops, so that pixel (y, x) of the rendering is sample (y, x) of the mosaic.

`mosaic_preview` needs samples alone; it is a preview, and the baseline for camera raw files. Each colour is the mean of
its samples in a small window, gray world balances the channels, and a power of 1/2.2 encodes the values for display.
The result is neither sharp nor true in colour, and does not depend on camera metadata.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.ndimage import uniform_filter

from ultrabm_jax.image import BadImage
from ultrabm_jax.raw.cfa import CANONICAL
from ultrabm_jax.raw.levels import tile_to
from ultrabm_jax.raw.raw_file import RawFile, open_raw
from ultrabm_jax.raw.reader import canonical_phase

MIN_XTRANS_SIZE = 512  # side of LibRaw's tile, below which it does not demosaic X-Trans
WINDOW = {"bayer": 3, "xtrans": 5}  # side of a window that holds all three colours everywhere


def render_reference(path: Path) -> np.ndarray:
    """(h, w, 3) uint16 RGB, aligned with `read_raw(path).values`."""
    path = Path(path)
    if path.suffix.lower() == ".npy":
        raise BadImage(path, "an .npy file has no white balance and cannot be rendered")
    with open_raw(path) as file:
        return rendering_of(file)


def rendering_of(file: RawFile) -> np.ndarray:
    """As `render_reference`, of an open file; LibRaw's samples are as before afterwards."""
    cfa, _, (top, left) = canonical_phase(file)
    height, width = file.libraw.raw_image_visible.shape
    if cfa == "xtrans":
        check_xtrans_size(file.path, height, width)
    rgb = file.libraw.postprocess(use_camera_wb=True, half_size=False, no_auto_bright=True, output_bps=16, user_flip=0)
    if rgb.shape != (height, width, 3):
        raise BadImage(file.path, f"LibRaw renders {width}x{height} samples as {rgb.shape[1]}x{rgb.shape[0]} pixels")
    return np.ascontiguousarray(rgb[top:, left:])


def check_xtrans_size(path: Path, height: int, width: int) -> None:
    """`BadImage` for an X-Trans mosaic that is too small for LibRaw to render."""
    if min(height, width) < MIN_XTRANS_SIZE:
        side = MIN_XTRANS_SIZE
        raise BadImage(path, f"{width}x{height}: LibRaw renders X-Trans only at {side}x{side} and above")


def mosaic_preview(mosaic: np.ndarray, *, cfa: str) -> np.ndarray:
    """Amplified mosaic (h, w) in canonical phase, 1 at white -> (h, w, 3) float32 in [0, 1]."""
    colours = tile_to(CANONICAL[cfa], mosaic.shape)
    mosaic = np.clip(mosaic, 0, 1).astype(np.float32)
    rgb = np.stack([_local_mean(mosaic, colours == c, WINDOW[cfa]) for c in range(3)], axis=-1)
    means = rgb.mean(axis=(0, 1))
    balanced = rgb * (means[1] / np.maximum(means, 1e-8)) if means[1] > 0 else rgb
    return np.clip(balanced, 0, 1) ** np.float32(1 / 2.2)


def _local_mean(mosaic: np.ndarray, selected: np.ndarray, window: int) -> np.ndarray:
    """The mean of the selected samples in the window around each place."""
    share = uniform_filter(selected.astype(np.float32), window, mode="mirror")
    return uniform_filter(np.where(selected, mosaic, 0), window, mode="mirror") / np.maximum(share, 1e-6)
