"""Evaluation during training: mean scores over the evaluation pictures, and a few panels to look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from PIL import Image

from ultrabm_jax.demosaic import mosaic_preview
from ultrabm_jax.inference.image_files import as_uint8
from ultrabm_jax.metrics import compute
from ultrabm_jax.training.feed import to_float

Restore = Callable[[Mapping[str, np.ndarray]], Any]  # batch of one picture as stored -> restored (1, s h, s w, 3)


def validate(
    restore: Restore, source: Any, *, protocols: tuple[str, ...], count: int = 0, panels: int = 0
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """({"eval/PROTOCOL": mean over pictures}, {"panel/NAME": (1, s h, 3 s w, 3) low, restored and reference}).

    `source` has whole pictures (input_pipeline.PairSource); `count` 0 takes all of them. Scores are of 8-bit pictures.
    """
    from input_pipeline import eval_batches

    scores: dict[str, list[float]] = {protocol: [] for protocol in protocols}
    pictures = {}
    for batch in eval_batches(source, batch_size=1, count=count):
        stored = {name: value for name, value in batch.items() if name not in ("reference", "index", "mask")}
        restored = np.asarray(restore(stored))
        reference = as_uint8(batch["reference"])
        for protocol in protocols:
            values = np.asarray(compute(protocol, restored, reference))
            scores[protocol] += values[batch["mask"]].tolist()
        i = int(batch["index"][0])
        if i < panels:
            pictures[f"panel/{source.name(i)}"] = _panel(_visible(batch), restored[0], reference[0])
    return {f"eval/{name}": float(np.mean(values)) for name, values in scores.items()}, pictures


def _panel(low: np.ndarray, restored: np.ndarray, reference: np.ndarray) -> np.ndarray:
    h, w = reference.shape[:2]
    enlarged = np.asarray(Image.fromarray(low).resize((w, h), Image.Resampling.NEAREST), np.float32) / 255
    return np.concatenate([enlarged, restored, reference.astype(np.float32) / 255], axis=1)[None]


def _visible(batch: Mapping[str, np.ndarray]) -> np.ndarray:
    """The low picture as uint8 (h, w, 3); a mosaic amplified by its ratio and without the network."""
    low = batch["low"][0]
    if "black" not in batch:
        return low
    mosaic = np.asarray(to_float({"low": low[None], "black": batch["black"], "white": batch["white"]})["low"])
    return as_uint8(mosaic_preview(mosaic[0, ..., 0] * batch["ratio"][0], period=batch["black"].shape[-1]))
