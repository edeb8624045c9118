"""Statistics of the network that the frames of a clip share.

A network that adapts to statistics of the whole image (layers/tile_statistics.py) restores each frame of a clip a
little differently, which flickers. The statistics are therefore recorded on a few frames, and all frames use

    clip      their mean over `CLIP_FRAMES` evenly spaced frames: one enhancement for the whole clip
    smooth    values interpolated linearly between frames `SMOOTH_SECONDS` apart, for clips whose light changes
    off       their own

Networks without such statistics treat all frames alike in any case. The statistics of a frame are those of its preview
if it exceeds a tile, as for a single image.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TypeAlias

import jax
import numpy as np

from ultrabm_jax.inference.restorer import Restorer
from ultrabm_jax.typing import Variables
from ultrabm_jax.video.source import Source

CLIP_FRAMES = 16
SMOOTH_SECONDS = 1

StatisticsAt: TypeAlias = Callable[[Fraction], Variables | None]  # time of a frame -> statistics; None: its own


def steady_statistics(kind: str, restorer: Restorer, source: Source) -> StatisticsAt:
    """The statistics for each frame, for a kind of `STEADY`. Reads the clip once, unless nothing is to be recorded."""
    if kind == "off" or not restorer.task.shares_statistics:
        return lambda _: None
    step = -(-source.count() // CLIP_FRAMES)
    times: list[Fraction] = []
    recorded: list[Variables] = []
    for index, frame in enumerate(source.frames()):
        due = index % max(step, 1) == 0 if kind == "clip" else not times or frame.time - times[-1] >= SMOOTH_SECONDS
        if due:
            statistics = jax.device_get(record(restorer, frame.pixels()))
            if not statistics:
                return lambda _: None
            times.append(frame.time)
            recorded.append(statistics)
    if kind == "clip":
        mean: Variables = jax.tree.map(
            lambda *values: np.mean(values, axis=0, dtype=np.float32).astype(values[0].dtype), *recorded
        )
        return lambda _: mean
    return lambda time: interpolated(times, recorded, time)


def record(restorer: Restorer, low: np.ndarray) -> Variables:
    """The statistics of an image (h, w, 3), from its preview if it exceeds a tile."""
    return restorer.record(restorer.preview(low) if restorer.tile else low)


def interpolated(times: Sequence[Fraction], values: Sequence[Variables], time: Fraction) -> Variables:
    """The values at `time`, linearly between the two times around it; before the first and after the last, theirs."""
    k = bisect.bisect_right(times, time)
    if k in (0, len(times)):
        return values[min(k, len(times) - 1)]
    share = float((time - times[k - 1]) / (times[k] - times[k - 1]))
    between: Variables = jax.tree.map(lambda a, b: (1 - share) * a + share * b, values[k - 1], values[k])
    return between
