"""Tiny data sets on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def pairs(tmp_path: Path, image: Callable[..., Path]) -> Path:
    """Five pairs for scale 2: low/0.png 12x16 ... and high/0.png 24x32, where low is every second pixel of high."""
    for k in range(5):
        high = image(tmp_path / "pairs" / "high" / f"{k}.png", 24, 32, seed=k)
        low = tmp_path / "pairs" / "low" / f"{k}.png"
        low.parent.mkdir(exist_ok=True)
        Image.fromarray(np.asarray(Image.open(high))[::2, ::2]).save(low)
    return tmp_path / "pairs"
