"""The image that a camera's own converter would make: SID's and RED's ground truth.

LibRaw with the camera's white balance, no automatic brightness, full size, 16 bits, everything else at its default
(sRGB, BT.709 curve, AHD or Markesteijn demosaicing, highlights clipped), as SID's code calls it. Deviations: the
orientation tag is ignored, and the top and left are cropped as `read_mosaic` crops, so that pixel (y, x) of the
rendering is sample (y, x) of the mosaic.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ultrabm_jax.image.decode import BadImage
from ultrabm_jax.raw.libraw import open_raw
from ultrabm_jax.raw.mosaic import visible_phase

XTRANS_MINIMUM = 512  # side of LibRaw's tile, below which it does not demosaic X-Trans


def render_reference(path: Path) -> np.ndarray:
    """(h, w, 3) uint16 RGB, aligned with `read_mosaic(path).values`."""
    path = Path(path)
    if path.suffix.lower() == ".npy":
        raise BadImage(path, "an .npy file carries no white balance and cannot be rendered")
    with open_raw(path) as raw:
        cfa, _, (top, left) = visible_phase(path, raw)
        size = raw.raw_image_visible.shape
        if cfa == "xtrans" and min(size) < XTRANS_MINIMUM:
            side = XTRANS_MINIMUM
            raise BadImage(path, f"{size[1]}x{size[0]}: LibRaw renders X-Trans from {side}x{side} on")
        rgb = raw.postprocess(use_camera_wb=True, half_size=False, no_auto_bright=True, output_bps=16, user_flip=0)
    if rgb.shape != (*size, 3):
        raise BadImage(path, f"LibRaw renders {size[1]}x{size[0]} samples as {rgb.shape[1]}x{rgb.shape[0]} pixels")
    return np.ascontiguousarray(rgb[top:, left:])
