"""Evaluation during training: mean scores over the evaluation pictures, and a few panels to look at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from ultrabm_jax.metrics import compute

Restore = Callable[[np.ndarray], Any]  # low (1, h, w, 3) in [0, 1] -> restored (1, s h, s w, 3)


def validate(
    restore: Restore, source: Any, *, protocols: tuple[str, ...], count: int = 0, panels: int = 0
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """({"eval/PROTOCOL": mean over pictures}, {"panel/NAME": (1, s h, 3 s w, 3) low, restored and reference}).

    `source` has whole pictures as uint8 pairs (input_pipeline.PairSource); `count` 0 takes all of them.
    """
    from input_pipeline import eval_batches

    scores: dict[str, list[float]] = {protocol: [] for protocol in protocols}
    pictures = {}
    for batch in eval_batches(source, batch_size=1, count=count):
        restored = np.asarray(restore(batch["low"].astype(np.float32) / 255))
        for protocol in protocols:
            values = np.asarray(compute(protocol, restored, batch["reference"]))
            scores[protocol] += values[batch["mask"]].tolist()
        i = int(batch["index"][0])
        if i < panels:
            pictures[f"panel/{source.name(i)}"] = _panel(batch["low"][0], restored[0], batch["reference"][0])
    return {f"eval/{name}": float(np.mean(values)) for name, values in scores.items()}, pictures


def _panel(low: np.ndarray, restored: np.ndarray, reference: np.ndarray) -> np.ndarray:
    h, w = reference.shape[:2]
    enlarged = np.asarray(Image.fromarray(low).resize((w, h), Image.Resampling.NEAREST), np.float32) / 255
    return np.concatenate([enlarged, restored, reference.astype(np.float32) / 255], axis=1)[None]
