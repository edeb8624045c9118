"""Small raw files made by the tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ultrabm_jax.raw.cfa import BAYER
from ultrabm_jax.raw.dng import write_dng


@pytest.fixture
def dng(tmp_path: Path) -> Callable[..., tuple[Path, np.ndarray]]:
    """`dng(pattern=..., size=(h, w), **tags)` writes random samples and returns (path, samples)."""
    pytest.importorskip("rawpy")
    count = 0

    def make(
        *, pattern: np.ndarray = BAYER, size: tuple[int, int] = (62, 50), **tags: object
    ) -> tuple[Path, np.ndarray]:
        nonlocal count
        count += 1
        tags = {"black": 512, "white": 16383, **tags}
        samples = np.random.default_rng(count).integers(400, 16384, size).astype(np.uint16)
        path = tmp_path / f"made{count}.dng"
        write_dng(path, samples, pattern=pattern, **tags)
        return path, samples

    return make
