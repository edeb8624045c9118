"""Natural scene statistics of NIQE and BRISQUE (Mittal et al. 2012 and 2013), in float64.

The normalised image is (x - mu) / (sigma + 1) with the local mean and standard deviation (7x7 Gaussian, sigma 7/6).
Generalised Gaussians are fitted by moments: their shape is looked up on the authors' grid .200, .201 ... 10. Fits are
over the last axis, so that all blocks of an image are fitted at once.

Where an image is exactly flat or saturated, x - mu is rounding noise whose sign matters: NIQE and BRISQUE of such
images are not defined to the last digits, and implementations disagree there.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from scipy.ndimage import correlate
from scipy.signal import correlate2d
from scipy.special import gamma

SHAPES = np.arange(200, 10_001) / 1000
RATIOS = gamma(2 / SHAPES) ** 2 / (gamma(1 / SHAPES) * gamma(3 / SHAPES))  # rises with the shape


class AsymmetricGaussian(NamedTuple):
    """A generalised Gaussian with a different standard deviation on each side of zero."""

    shape: np.ndarray
    left: np.ndarray
    right: np.ndarray

    @property
    def width(self) -> np.ndarray:
        """The density's scale parameter divided by the standard deviation."""
        return np.sqrt(gamma(1 / self.shape) / gamma(3 / self.shape))

    @property
    def mean(self) -> np.ndarray:
        """The mean of the distribution."""
        return (self.right - self.left) * self.width * gamma(2 / self.shape) / gamma(1 / self.shape)


def gaussian_window() -> np.ndarray:
    """MATLAB's fspecial('gaussian', 7, 7/6)."""
    squared = np.arange(-3.0, 4.0) ** 2
    window = np.exp(-(squared[:, None] + squared) / (2 * (7 / 6) ** 2))
    return window / window.sum()


def normalised(image: np.ndarray, *, edges: Literal["repeated", "zero"]) -> np.ndarray:
    """(x - mu) / (sigma + 1) of (h, w), padded with repeated edge pixels or with zeros."""
    window = gaussian_window()

    def blur(x: np.ndarray) -> np.ndarray:
        return correlate(x, window, mode="nearest") if edges == "repeated" else correlate2d(x, window, mode="same")

    mu = blur(image)
    return (image - mu) / (np.sqrt(np.abs(blur(image * image) - mu * mu)) + 1)


def fit_asymmetric(x: np.ndarray) -> AsymmetricGaussian:
    """Fits over the last axis; a deviation is nan where its side of zero has no values."""
    squared = x * x
    with np.errstate(invalid="ignore", divide="ignore"):
        left, right = (
            np.sqrt(np.sum(squared, axis=-1, where=side) / np.count_nonzero(side, axis=-1)) for side in (x < 0, x > 0)
        )
        skew = left / right
        moments = np.mean(np.abs(x), axis=-1) ** 2 / np.mean(squared, axis=-1)
        ratio = moments * (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
    return AsymmetricGaussian(nearest_shape(ratio), left, right)


def nearest_shape(ratio: np.ndarray) -> np.ndarray:
    """The shape on the grid with the nearest ratio of moments; the first for a nan ratio, as in the releases."""
    ratio = np.where(np.isnan(ratio), RATIOS[0], ratio)
    above = np.clip(np.searchsorted(RATIOS, ratio), 1, len(RATIOS) - 1)
    lower = ratio - RATIOS[above - 1] <= RATIOS[above] - ratio
    return SHAPES[np.where(lower, above - 1, above)]
