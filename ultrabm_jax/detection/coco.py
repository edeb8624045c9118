"""Average precision, computed by pycocotools (COCO's own program).

    ap          mean over overlaps .50, .55, ... .95 and over the classes that occur in the truth
    ap50, ap75  at one overlap; ap_small, ap_medium, ap_large: of objects below 32^2, below 96^2 and above, in pixels
    ar100       recall with at most 100 detections, mean over overlaps

A score is None where the truth has no object of the kind.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ultrabm_jax.detection.annotations import labels_of
from ultrabm_jax.detection.boxes import Detections, Truth, areas_of, to_xywh
from ultrabm_jax.errors import UserError
from ultrabm_jax.extras import missing_extra

if TYPE_CHECKING:
    from pycocotools.cocoeval import COCOeval

STATS = {"ap": 0, "ap50": 1, "ap75": 2, "ap_small": 3, "ap_medium": 4, "ap_large": 5, "ar100": 8}
INTERVALS = {"ap": slice(None), "ap50": 0, "ap75": 5}  # overlaps that are averaged
RESAMPLES = 500


def average_precision(
    truth: Mapping[str, Truth], detections: Mapping[str, Detections], *, resamples: int = RESAMPLES
) -> tuple[dict[str, float | None], dict[str, list[float] | None], dict[str, float | None]]:
    """(scores, 95 % intervals of ap, ap50 and ap75, ap by class) of the images of `truth`.

    detections: boxes on images of the size of the truth. The intervals are those of a bootstrap over images.
    Raises UserError without pycocotools.
    """
    labels = labels_of(truth)
    if not labels:
        return dict.fromkeys(STATS), dict.fromkeys(INTERVALS), {}
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        program = _evaluate(truth, detections, labels)
        program.accumulate()
        program.summarize()
    scores = {name: _known(program.stats[k]) for name, k in STATS.items()}
    by_class = {label: _mean_precision(program.eval["precision"][:, :, k, 0, -1]) for k, label in enumerate(labels)}
    return scores, _intervals(program, resamples), by_class


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
    """What `loadRes` cannot make of an empty list."""
    empty = type(annotated)()
    empty.dataset = {**annotated.dataset, "annotations": []}
    empty.createIndex()
    return empty


def _intervals(program: COCOeval, resamples: int) -> dict[str, list[float] | None]:
    """Percentile bootstrap: the matches of resampled images are accumulated again."""
    images = len(program.params.imgIds)
    shape = len(program.params.catIds), len(program.params.areaRng), images
    matches = np.empty(shape, object)
    matches.reshape(-1)[:] = program.evalImgs
    program.params.areaRng, program.params.areaRngLbl = program.params.areaRng[:1], program.params.areaRngLbl[:1]
    program._paramsEval = program.params
    rng, values = np.random.default_rng(0), {name: list[float]() for name in INTERVALS}
    for _ in range(resamples if images > 1 else 0):
        program.evalImgs = list(matches[:, :1, rng.integers(images, size=images)].reshape(-1))
        with contextlib.redirect_stdout(io.StringIO()):
            program.accumulate()
        for name, overlaps in INTERVALS.items():
            value = _mean_precision(program.eval["precision"][overlaps, ..., 0, -1])
            if value is not None:
                values[name].append(value)
    return {
        name: [float(x) for x in np.quantile(found, [0.025, 0.975])] if len(found) > 1 else None
        for name, found in values.items()
    }


def _mean_precision(precision: np.ndarray) -> float | None:
    known = precision[precision > -1]  # -1: the class does not occur
    return float(known.mean()) if known.size else None


def _known(value: float) -> float | None:
    return float(value) if value > -1 else None
