"""Average precision, computed by pycocotools, COCO's own evaluation code.

    ap          mean over the IoU thresholds .50, .55, ... .95 and over the classes that occur in the truth
    ap50, ap75  at one IoU threshold
    ap_small, ap_medium, ap_large
                of objects with an area below 32^2, from 32^2 to 96^2, and above 96^2 pixels
    ar100       recall with at most 100 detections per image, mean over the IoU thresholds

A score is None if the truth has no such object.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ultrabm_jax.detection.annotations import labels_of
from ultrabm_jax.detection.boxes import Detections, Truth, areas_of, to_xywh
from ultrabm_jax.errors import UserError
from ultrabm_jax.extras import missing_extra

if TYPE_CHECKING:
    from pycocotools.cocoeval import COCOeval

STATS = {"ap": 0, "ap50": 1, "ap75": 2, "ap_small": 3, "ap_medium": 4, "ap_large": 5, "ar100": 8}
IOU_THRESHOLDS = {"ap": slice(None), "ap50": 0, "ap75": 5}  # of the scores that have an interval
RESAMPLES = 500

Interval: TypeAlias = list[float] | None


@dataclasses.dataclass(frozen=True, eq=False)
class AveragePrecision:
    """The scores of one method.

    resampled: {ap, ap50, ap75: values of the bootstrap samples, nan where no class occurs}. A sample has the same
    images for every method, so that differences between methods are paired.
    """

    scores: Mapping[str, float | None]
    by_class: Mapping[str, float | None]
    resampled: Mapping[str, np.ndarray]

    def intervals(self) -> dict[str, Interval]:
        """95 % percentile intervals of ap, ap50 and ap75."""
        return {name: _interval(values) for name, values in self.resampled.items()}

    def gain(self, other: AveragePrecision) -> tuple[float | None, Interval]:
        """(ap minus that of `other`, its 95 % interval)."""
        own, others = self.scores["ap"], other.scores["ap"]
        difference = None if own is None or others is None else own - others
        return difference, _interval(self.resampled["ap"] - other.resampled["ap"])


def average_precision(
    truth: Mapping[str, Truth], detections: Mapping[str, Detections], *, resamples: int = RESAMPLES
) -> AveragePrecision:
    """Evaluates the images of `truth`; `detections` has boxes on images of the size of the truth.

    The bootstrap resamples the images. Raises UserError if pycocotools is not installed.
    """
    labels = labels_of(truth)
    if not labels:
        return AveragePrecision(dict.fromkeys(STATS), {}, dict.fromkeys(IOU_THRESHOLDS, np.zeros(0)))
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        program = _evaluate(truth, detections, labels)
        program.accumulate()
        program.summarize()
        scores = {name: _known(program.stats[k]) for name, k in STATS.items()}
        by_class = {label: _mean(program.eval["precision"][:, :, k, 0, -1]) for k, label in enumerate(labels)}
        return AveragePrecision(scores, by_class, _resample(program, resamples))


def _evaluate(truth: Mapping[str, Truth], detections: Mapping[str, Detections], labels: Sequence[str]) -> COCOeval:
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise UserError(missing_extra("pycocotools", "detection")) from error
    identity = {label: k for k, label in enumerate(labels, start=1)}
    images, objects, results = [], list[dict[str, Any]](), list[dict[str, Any]]()  # Any: COCO's JSON
    for number, (name, true) in enumerate(truth.items(), start=1):
        images.append({"id": number, "file_name": name, "height": true.size[0], "width": true.size[1]})
        areas = areas_of(true.boxes) if true.areas is None else true.areas
        for box, label, crowd, area in zip(true.boxes, true.labels, true.crowd, areas, strict=True):
            entry = {"id": len(objects) + 1, "image_id": number, "category_id": identity[label], "bbox": to_xywh(box)}
            objects.append({**entry, "area": float(area), "iscrowd": int(crowd)})
        found = detections[name]
        for box, label, score in zip(found.boxes, found.labels, found.scores, strict=True):
            if label in identity:
                entry = {"image_id": number, "category_id": identity[label], "bbox": to_xywh(box)}
                results.append({**entry, "score": float(score)})
    annotated = COCO()
    categories = [{"id": k, "name": label} for label, k in identity.items()]
    annotated.dataset = {"images": images, "annotations": objects, "categories": categories, "info": {}}
    annotated.createIndex()
    detected = annotated.loadRes(results) if results else _no_results(annotated)
    program = COCOeval(annotated, detected, "bbox")
    program.evaluate()
    return program


def _no_results(annotated: Any) -> Any:  # Any: pycocotools.coco.COCO, which has no types
    """No detections; `loadRes` does not accept an empty list."""
    empty = type(annotated)()
    empty.dataset = {**annotated.dataset, "annotations": []}
    empty.createIndex()
    return empty


def _resample(program: COCOeval, resamples: int) -> dict[str, np.ndarray]:
    """{score: its values on bootstrap samples}: the matches of the resampled images are accumulated again."""
    images = len(program.params.imgIds)
    matches = np.empty((len(program.params.catIds), len(program.params.areaRng), images), object)
    matches.reshape(-1)[:] = program.evalImgs
    program.params.areaRng, program.params.areaRngLbl = program.params.areaRng[:1], program.params.areaRngLbl[:1]
    program.params.maxDets = program.params.maxDets[-1:]  # precision is read at the largest number of detections only
    program._paramsEval = program.params
    rng, values = np.random.default_rng(0), {name: list[float]() for name in IOU_THRESHOLDS}
    for _ in range(resamples if images > 1 else 0):
        program.evalImgs = list(matches[:, :1, rng.integers(images, size=images)].reshape(-1))
        program.accumulate()
        for name, thresholds in IOU_THRESHOLDS.items():
            mean = _mean(program.eval["precision"][thresholds, ..., 0, -1])
            values[name].append(np.nan if mean is None else mean)
    return {name: np.array(found, np.float64) for name, found in values.items()}


def _interval(values: np.ndarray) -> Interval:
    known = values[~np.isnan(values)]
    return [float(bound) for bound in np.quantile(known, [0.025, 0.975])] if len(known) > 1 else None


def _mean(precision: np.ndarray) -> float | None:
    known = precision[precision > -1]  # -1: the class does not occur
    return float(known.mean()) if known.size else None


def _known(value: float) -> float | None:
    return float(value) if value > -1 else None
