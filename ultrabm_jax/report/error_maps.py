"""Error maps: |restored - reference|, mean over RGB, in 8-bit units, shown as colours with one legend.

All methods of an image share one scale. It ends at the smallest of `ENDS` that covers 99 % of the model's pixels, so
that the model's map is readable and maps of different images often share a scale too.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PIL import Image

from ultrabm_jax.report.data_uris import ERROR_SIDE

ENDS = (8, 16, 32, 64, 128, 255)
COLOURS = ((0, 0, 0), (70, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 190))  # at equal intervals


def error_maps(images: Mapping[str, np.ndarray], model: str) -> tuple[dict[str, np.ndarray], int]:
    """({method: (h, w, 3) uint8 colours, the longer side at most ERROR_SIDE}, the end of the scale).

    `images` are (h, w, 3) uint8, by source; the scale is chosen for the method `model`.
    """
    reference = images["reference"].astype(np.float32)
    methods = [name for name in images if name not in ("input", "reference")]
    errors = {name: np.abs(images[name].astype(np.float32) - reference).mean(-1) for name in methods}
    end = round_up(float(np.percentile(errors[model], 99)))
    return {name: colourise(_reduced(error) / end) for name, error in errors.items()}, end


def round_up(value: float) -> int:
    """The smallest of `ENDS` that is not below `value`; the last one if there is none."""
    return next((end for end in ENDS if value <= end), ENDS[-1])


def colourise(values: np.ndarray) -> np.ndarray:
    """(...) in [0, 1] -> (..., 3) uint8; larger values have the colour of 1."""
    at = np.linspace(0, 1, len(COLOURS))
    return np.stack([np.interp(values, at, channel) for channel in np.transpose(COLOURS)], -1).round().astype(np.uint8)


def legend_css() -> str:
    """The colour scale as a CSS gradient."""
    return f"linear-gradient(90deg,{','.join(f'rgb{colour}' for colour in COLOURS)})".replace(" ", "")


def _reduced(error: np.ndarray) -> np.ndarray:
    """The map at a smaller size, by averaging, which keeps the mean error."""
    ratio = min(1.0, ERROR_SIDE / max(error.shape))
    size = tuple(max(1, round(length * ratio)) for length in error.shape[::-1])
    return np.asarray(Image.fromarray(error).resize(size, Image.Resampling.BOX))
