"""The histogram of Y."""

from __future__ import annotations

import numpy as np
import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.metrics.histogram import y_curve, y_histogram


def test_histogram_of_black_and_white():
    image = np.zeros((2, 4, 6, 3), np.uint8)
    image[1] = 255
    counts = y_histogram(image)
    assert counts.shape == (2, 256)
    assert counts[0, 16] == counts[1, 235] == 24
    assert y_histogram(image, bins=4)[1].tolist() == [0, 0, 0, 24]
    np.testing.assert_allclose(y_curve(image).sum(axis=1), 1)
    with pytest.raises(UserError, match="does not divide"):
        y_histogram(image, bins=10)
