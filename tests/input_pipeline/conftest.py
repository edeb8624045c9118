"""Tiny data sets on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image

from ultrabm_jax.config import default_config

Maker = Callable[..., Path]


@pytest.fixture
def data() -> ConfigDict:
    """config.data with the defaults."""
    return default_config().data


@pytest.fixture
def image() -> Maker:
    """`image(path, h, w, seed=0)` writes noise of that size and returns the path."""

    def make(path: Path, height: int, width: int, seed: int = 0) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        return path

    return make


@pytest.fixture
def pairs(tmp_path: Path, image: Maker) -> Path:
    """Five pairs for scale 2: low/0.png 12x16 ... and high/0.png 24x32, where low is every second pixel of high."""
    for k in range(5):
        high = image(tmp_path / "pairs" / "high" / f"{k}.png", 24, 32, seed=k)
        low = tmp_path / "pairs" / "low" / f"{k}.png"
        low.parent.mkdir(exist_ok=True)
        Image.fromarray(np.asarray(Image.open(high))[::2, ::2]).save(low)
    return tmp_path / "pairs"
