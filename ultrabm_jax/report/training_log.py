"""Reads the scalars that a training run logs."""

from __future__ import annotations

import json
import math

from ultrabm_jax.buckets import AnyPath, open_path


def read_log(path: str | AnyPath) -> dict[str, list[tuple[float, float]]]:
    """{key: [(step, value), ...]} of a train.jsonl; where a resumed run repeats steps, the later line counts.

    Non-finite values are left out. Returns {} for a missing file.
    """
    path = open_path(path)
    if not path.exists():
        return {}
    values: dict[str, dict[float, float]] = {}
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            if number == len(lines):  # a killed run may leave its last line unfinished
                break
            raise
        step = record.pop("step")
        for key, value in record.items():
            if isinstance(value, int | float) and math.isfinite(value):
                values.setdefault(key, {})[step] = value
    return {key: sorted(points.items()) for key, points in values.items()}
