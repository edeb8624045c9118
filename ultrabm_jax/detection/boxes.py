"""Detections and true boxes of one image."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class Detections:
    """boxes (n, 4) float32: left, top, right, bottom in pixels; scores (n,) in [0, 1]; labels: n class names."""

    boxes: np.ndarray
    scores: np.ndarray
    labels: Sequence[str]

    def above(self, threshold: float) -> Detections:
        """Those with a score of at least `threshold`."""
        kept = np.flatnonzero(self.scores >= threshold)
        return Detections(self.boxes[kept], self.scores[kept], [self.labels[int(i)] for i in kept])

    def scaled(self, factors: tuple[float, float]) -> Detections:
        """The boxes on an image that is `factors` (vertical, horizontal) times as large."""
        y, x = factors
        return dataclasses.replace(self, boxes=self.boxes * np.array([x, y, x, y], np.float32))


@dataclasses.dataclass(frozen=True)
class Truth:
    """The true boxes of an image of `size` (h, w): boxes and labels as above; crowd (n,): groups, as in COCO."""

    size: tuple[int, int]
    boxes: np.ndarray
    labels: Sequence[str]
    crowd: np.ndarray
    areas: np.ndarray | None = None  # (n,) areas of the objects' masks, which COCO's size classes use; None: the boxes'

    @classmethod
    def of_boxes(cls, size: tuple[int, int], boxes: np.ndarray, labels: Sequence[str]) -> Truth:
        """Boxes without groups."""
        return cls(size, np.asarray(boxes, np.float32).reshape(-1, 4), list(labels), np.zeros(len(labels), bool))


def from_xywh(boxes: Sequence[Sequence[float]]) -> np.ndarray:
    """Boxes as left, top, width, height (COCO, ExDark) -> (n, 4) float32 as left, top, right, bottom."""
    corners = np.array(boxes, np.float32).reshape(-1, 4)
    corners[:, 2:] += corners[:, :2]
    return corners


def to_xywh(box: np.ndarray) -> list[float]:
    """The inverse of `from_xywh` for one box."""
    left, top, right, bottom = map(float, box)
    return [left, top, right - left, bottom - top]


def areas_of(boxes: np.ndarray) -> np.ndarray:
    """(n, 4) -> (n,) square pixels."""
    return np.clip(boxes[:, 2] - boxes[:, 0], 0, None) * np.clip(boxes[:, 3] - boxes[:, 1], 0, None)


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of (n, 4) and (m, 4): (n, m)."""
    top_left = np.maximum(a[:, None, :2], b[None, :, :2])
    bottom_right = np.minimum(a[:, None, 2:], b[None, :, 2:])
    both = np.prod(np.clip(bottom_right - top_left, 0, None), axis=2)
    union = areas_of(a)[:, None] + areas_of(b)[None] - both
    return np.divide(both, union, out=np.zeros_like(both), where=union > 0)
