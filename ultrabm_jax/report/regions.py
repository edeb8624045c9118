"""The regions of an image that the page shows enlarged. They are chosen by rule, not by hand, to avoid selection bias.

With a reference: the largest error of the model, the strongest texture of the reference, the darkest part of the input.
Without: the strongest texture of the restored image, the darkest and the brightest part of the input. Regions are
squares that do not overlap; y and x are rows and columns of the output.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from ultrabm_jax.report.curves import enlarged, y_of

DIVISOR = 8  # a region's side is the image's longer side divided by this,
SMALLEST, LARGEST = 32, 96  # within these bounds, in output pixels


@dataclasses.dataclass(frozen=True)
class Region:
    """A square of the output, in output pixels; `why` is the rule that chose it."""

    why: str
    y: int
    x: int
    side: int

    def cut(self, image: np.ndarray, scale: int = 1) -> np.ndarray:
        """The region of `image`, which is smaller than the output by the factor `scale`; at least one pixel."""
        y, x, side = self.y // scale, self.x // scale, max(1, self.side // scale)
        return image[y : y + side, x : x + side]


def choose_regions(images: Mapping[str, np.ndarray], model: str) -> tuple[Region, ...]:
    """Up to three regions; `images`: (h, w, 3) uint8 of "input", `model` and, if there is one, "reference"."""
    height, width = images[model].shape[:2]
    scale = scale_of(images["input"], images[model])
    side = min(height, width, int(np.clip(max(height, width) // DIVISOR, SMALLEST, LARGEST))) // scale * scale
    step = max(1, side // 4 // scale) * scale
    chosen: list[Region] = []
    for why, values in _rules(images, model):
        means = _box_means(values, side, step)
        for region in chosen:  # squares overlap unless they are a whole side apart
            far_y = np.abs(np.arange(means.shape[0]) * step - region.y) >= side
            far_x = np.abs(np.arange(means.shape[1]) * step - region.x) >= side
            means[~(far_y[:, None] | far_x[None, :])] = -np.inf
        y, x = np.unravel_index(int(np.argmax(means)), means.shape)
        if np.isfinite(means[y, x]):
            chosen.append(Region(why, int(y) * step, int(x) * step, side))
    return tuple(chosen)


def textured_row(regions: Sequence[Region], height: int) -> int:
    """The row of curves: the middle of the region with the strongest texture, or of an image of `height` rows."""
    return next((r.y + r.side // 2 for r in regions if "texture" in r.why), height // 2)


def scale_of(small: np.ndarray, large: np.ndarray) -> int:
    """The factor from the height of one image to that of another, at least 1."""
    return max(1, round(large.shape[0] / small.shape[0]))


def _rules(images: Mapping[str, np.ndarray], model: str) -> list[tuple[str, np.ndarray]]:
    """(reason, map at the output's size); the square with the largest mean of the map is chosen."""
    low = enlarged(y_of(images["input"]), *images[model].shape[:2])
    dark = ("darkest part of the input", -low)
    if "reference" not in images:
        texture = (f"strongest texture of {model}", _texture(y_of(images[model])))
        return [texture, dark, ("brightest part of the input", low)]
    error = np.abs(images[model].astype(np.float32) - images["reference"]).mean(-1)
    texture = ("strongest texture of the reference", _texture(y_of(images["reference"])))
    return [(f"largest error of {model}", error), texture, dark]


def _texture(y: np.ndarray) -> np.ndarray:
    """Magnitude of the local gradient."""
    gradients = np.gradient(y) if min(y.shape) > 1 else [np.zeros_like(y)] * 2
    return np.hypot(*gradients)


def _box_means(values: np.ndarray, side: int, step: int) -> np.ndarray:
    """Means over the squares that start at every `step`-th row and column, by a summed-area table."""
    sums = np.pad(values, ((1, 0), (1, 0))).astype(np.float64).cumsum(0).cumsum(1)
    boxes = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    return boxes[::step, ::step] / side**2
