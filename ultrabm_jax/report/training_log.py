"""Reads the scalars that a training run logs."""

from __future__ import annotations

import json
import math

from ultrabm_jax.buckets import AnyPath, open_path
from ultrabm_jax.logging import logger


def read_log(path: str | AnyPath) -> dict[str, list[tuple[float, float]]]:
    """{key: [(step, value), ...]} of a train.jsonl; where a resumed run repeats steps, the later line counts.

    Non-finite values are left out, and so are damaged lines, with a note unless it is the last one, which a killed run
    leaves unfinished. Returns {} for a missing file.
    """
    path = open_path(path)
    if not path.exists():
        return {}
    values: dict[str, dict[float, float]] = {}
    lines = path.read_text(errors="replace").splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
            step = record.pop("step")
        except (ValueError, KeyError, TypeError, AttributeError):
            if number < len(lines):
                logger.warning(f"{path}: line {number} is damaged and left out of the curves")
            continue
        for key, value in record.items():
            if isinstance(value, int | float) and math.isfinite(value):
                values.setdefault(key, {})[step] = value
    return {key: sorted(points.items()) for key, points in values.items()}
