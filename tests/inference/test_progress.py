"""What is logged while an image is restored."""

from __future__ import annotations

import numpy as np
import pytest

from ultrabm_jax import Restorer
from ultrabm_jax.inference import progress
from ultrabm_jax.inference.progress import TileProgress, format_seconds


def test_the_time_left_does_not_count_the_first_tile(logged):
    now = [0.0]
    step = TileProgress(5, clock=lambda: now[0])
    for seconds in (60, 10, 4, 1, 1):  # the first one compiles
        now[0] += seconds
        step()
    # After 2 tiles: 10 s a tile, 3 left. Tiles 3 and 4 follow after 4 and 5 s. The last tile logs nothing.
    assert logged == ["tile 1 of 5", "tile 2 of 5, about 30 s left", "tile 4 of 5, about 5 s left"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (125, "2 min 5 s"), (3780, "1 h 3 min")]
)
def test_durations(seconds, text):
    assert format_seconds(seconds) == text


def test_a_large_image_reports_tiles_and_each_size_its_compilation(network, logged, monkeypatch):
    monkeypatch.setattr(progress, "INTERVAL", 0.0)
    restorer = Restorer(*network, tile=48, overlap=8)
    low = np.full((60, 100, 3), 0.2, np.float32)
    restorer(low)
    assert logged[0] == "compiling FakeNet for 48x48 pixels"
    assert logged[1] == "tile 1 of 6"
    assert logged[-1].startswith("tile 5 of 6, about 0 s left")
    logged.clear()
    restorer(low)
    assert not any("compiling" in line for line in logged)
    restorer(low[:20, :30])
    assert logged[-1] == "compiling FakeNet for 30x20 pixels"
