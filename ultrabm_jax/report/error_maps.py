"""Error maps: |restored - reference|, mean over RGB, 8-bit units, as colors that one legend explains.

All methods of an image share one scale. Its end is the smallest of `ENDS` that holds 99 % of the model's pixels, so
that the model's map is readable, and maps of different images often have the same scale too.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PIL import Image

from ultrabm_jax.report.images import ERROR_SIDE

ENDS = (8, 16, 32, 64, 128, 255)
COLORS = ((0, 0, 0), (70, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 190))  # at equal distances


def error_maps(images: Mapping[str, np.ndarray], model: str) -> tuple[dict[str, np.ndarray], int]:
    """{method: (h, w, 3) uint8 colors, the longer side ERROR_SIDE at most} and the end of the scale."""
    reference = images["reference"].astype(np.float32)
    methods = [name for name in images if name not in ("input", "reference")]
    errors = {name: np.abs(images[name].astype(np.float32) - reference).mean(-1) for name in methods}
    end = round_up(float(np.percentile(errors[model], 99)))
    return {name: colored(_smaller(error) / end) for name, error in errors.items()}, end


def round_up(value: float) -> int:
    return next((end for end in ENDS if value <= end), ENDS[-1])


def colored(values: np.ndarray) -> np.ndarray:
    """[0, 1] -> (..., 3) uint8; larger values are as 1."""
    at = np.linspace(0, 1, len(COLORS))
    return np.stack([np.interp(values, at, channel) for channel in np.transpose(COLORS)], -1).round().astype(np.uint8)


def legend_css() -> str:
    """The color scale as a CSS gradient."""
    return f"linear-gradient(90deg,{','.join(f'rgb{color}' for color in COLORS)})".replace(" ", "")


def _smaller(error: np.ndarray) -> np.ndarray:
    """Means of blocks: a reduced map keeps the mean error."""
    ratio = min(1.0, ERROR_SIDE / max(error.shape))
    size = tuple(max(1, round(length * ratio)) for length in error.shape[::-1])
    return np.asarray(Image.fromarray(error).resize(size, Image.Resampling.BOX))
