"""Precision, recall and IoU at one confidence, as DRGN's Table 4 reports them.

The table defines neither precision nor IoU. Here, for detections with a score of at least `confidence`:

    true positive  in descending order of score, a detection is matched with the unmatched true box of its class that
                   it overlaps most, if their IoU is at least .5
    precision      true positives over detections
    recall         true positives over true boxes
    iou            mean IoU of the true positives

Crowd boxes are not true boxes. An unmatched detection that overlaps one of its class is not counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ultrabm_jax.detection.boxes import Detections, Truth, iou

MIN_IOU = 0.5


@dataclass
class Matches:
    """Counts over images, and the IoU of each true positive."""

    detections: int = 0
    objects: int = 0
    overlaps: list[float] = field(default_factory=list)

    def __iadd__(self, other: Matches) -> Matches:
        self.detections += other.detections
        self.objects += other.objects
        self.overlaps += other.overlaps
        return self

    def scores(self) -> dict[str, float | None]:
        """precision, recall and iou; None without detections, objects or true positives."""
        positives = len(self.overlaps)
        return {
            "precision": positives / self.detections if self.detections else None,
            "recall": positives / self.objects if self.objects else None,
            "iou": float(np.mean(self.overlaps)) if positives else None,
        }


def match(truth: Truth, detections: Detections, *, confidence: float) -> Matches:
    """The matches of one image."""
    found = detections.above(confidence)
    overlap = iou(found.boxes, truth.boxes)
    same = np.array([[a == b for b in truth.labels] for a in found.labels], bool).reshape(overlap.shape)
    single = same & ~truth.crowd[None]
    matches = Matches(objects=int((~truth.crowd).sum()))
    free = np.ones(len(truth.labels), bool)
    for k in np.argsort(-found.scores, kind="stable"):
        candidates: np.ndarray = np.where(single[k] & free, overlap[k], 0)
        best = int(np.argmax(candidates)) if len(candidates) else -1
        if best >= 0 and candidates[best] >= MIN_IOU:
            free[best] = False
            matches.detections += 1
            matches.overlaps.append(float(candidates[best]))
        elif not (same[k] & truth.crowd & (overlap[k] > 0)).any():
            matches.detections += 1
    return matches


def match_all(truth: Mapping[str, Truth], detections: Mapping[str, Detections], *, confidence: float) -> Matches:
    """The matches of all images of `truth`."""
    total = Matches()
    for name, true in truth.items():
        total += match(true, detections[name], confidence=confidence)
    return total
