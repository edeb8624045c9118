"""Detects objects in the images of all methods, measures them against the same true boxes, and writes the files.

    detections.json          scores of each method with intervals, ap by class, the kind of truth, the detector
    table.md, .tex, .csv     the scores
    detections/METHOD.json   the boxes, in COCO's result format
    index.html               the images with boxes (page.py)

Annotations and pseudo ground truth (detections on the references) are never mixed: without annotations, the names of
the scores end in `_pseudo_gt70`, with the confidence in percent.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from ultrabm_jax.cli import progress
from ultrabm_jax.detection.annotations import labels_of, pseudo_truth, read_annotations
from ultrabm_jax.detection.boxes import Detections, Truth
from ultrabm_jax.detection.coco import average_precision
from ultrabm_jax.detection.detector import Detector
from ultrabm_jax.detection.matching import match_all
from ultrabm_jax.detection.methods import BATCH, common_images, detect, read_detections, write_detections
from ultrabm_jax.errors import UserError
from ultrabm_jax.evaluation.written_images import REFERENCE, folder_name
from ultrabm_jax.image import read_size
from ultrabm_jax.image.write import write_file
from ultrabm_jax.logging import logger
from ultrabm_jax.metrics.folders import Paths, list_images
from ultrabm_jax.metrics.score_table import TABLES, Intervals
from ultrabm_jax.versions import package_versions

OUTSIDE = 1.1  # of the side of an image: boxes of a result file that reach further belong to another size
PACKAGES = ("ultrabm_jax", "onnxruntime", "pycocotools", "numpy")


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The results: {method: {image: ...}} for paths and detections, {image: ...} for the truth.

    base: images on which the page shows the boxes of result files: the references, or else those of the first folder.
    """

    paths: Mapping[str, Paths]
    base: Paths
    detections: Mapping[str, Mapping[str, Detections]]
    truth: Mapping[str, Truth]
    truth_name: str  # "annotations" or "pseudo_gt70"
    confidence: float
    scores: Mapping[str, Mapping[str, float | None]]
    intervals: Intervals
    by_class: Mapping[str, Mapping[str, float | None]]
    seconds: float  # that detection took
    detected: int  # images of all methods in which the detector searched

    @property
    def objects(self) -> int:
        """The number of true boxes."""
        return sum(len(true.labels) for true in self.truth.values())

    @property
    def columns(self) -> list[str]:
        """The names of the scores."""
        return list(next(iter(self.scores.values())))


def compare(
    detector: Detector | None,
    folders: Mapping[str, str],
    *,
    results: Mapping[str, str] | None = None,
    annotations: str | None = None,
    truth_confidence: float = 0.7,
    confidence: float = 0.3,
    batch: int = BATCH,
) -> Comparison:
    """Measures `folders` ({method: folder of images}) and `results` ({method: result file}).

    Without `annotations`, the truth is `pseudo_truth` of the detections in the folder "reference". confidence: of
    precision, recall and IoU. batch: images per run of the detector. `ap_gain` is the difference from the first method.

    Raises UserError if images are missing or there is nothing to compare.
    """
    paths = {method: list_images(folder) for method, folder in folders.items()}
    if not paths:
        raise UserError("--images names no folder; the images are needed for the page and the size of boxes")
    if annotations is None and REFERENCE not in paths:
        raise UserError("give --annotations FILE, or --images reference=DIR, whose detections then count as the truth")
    names = common_images(paths)
    base = paths.get(REFERENCE) or next(iter(paths.values()))
    sizes = {name: read_size(base[name]) for name in names}
    truth = None if annotations is None else read_annotations(annotations, sizes)
    if truth is not None:
        names = [name for name in names if name in truth]
        sizes = {name: truth[name].size for name in names}
    started = time.monotonic()
    found = {} if detector is None else _detect_all(detector, paths, names, sizes, batch=batch)
    seconds, detected = time.monotonic() - started, len(found) * len(names)
    for method, path in (results or {}).items():
        found[method] = read_detections(path, names, annotations)
        warn_if_outside(path, found[method], sizes)
    if not found:
        raise UserError("nothing to measure: give --detector FILE.onnx or --results NAME=FILE.json")
    truth_name = "annotations"
    if truth is None:
        if REFERENCE not in found:
            raise UserError("the truth comes from the references, so it needs --detector or --results reference=FILE")
        truth_name = f"pseudo_gt{round(100 * truth_confidence)}"
        truth = {n: pseudo_truth(found[REFERENCE][n], sizes[n], confidence=truth_confidence) for n in names}
    if not any(true.labels for true in truth.values()):
        raise UserError(f"the truth ({truth_name}) has no object in {len(names)} images")
    if detector is not None:
        check_classes(detector.description.classes, labels_of(truth))
    suffix = "" if truth_name == "annotations" else f"_{truth_name}"
    precision = {method: average_precision(truth, detections) for method, detections in found.items()}
    first = next(iter(found))
    scores, intervals = {}, {}
    for method, detections in found.items():
        gain, bounds = (None, None) if method == first else precision[method].gain(precision[first])
        matched = match_all(truth, detections, confidence=confidence).scores()
        own = {"ap": precision[method].scores["ap"], "ap_gain": gain, **precision[method].scores, **matched}
        scores[method] = {f"{name}{suffix}": value for name, value in own.items()}
        spread = {**precision[method].intervals(), "ap_gain": bounds}
        intervals[method] = {f"{name}{suffix}": value for name, value in spread.items()}
    by_class = {method: own.by_class for method, own in precision.items()}
    return Comparison(paths, base, found, truth, truth_name, confidence, scores, intervals, by_class, seconds, detected)


def check_classes(known: Sequence[str], true: Sequence[str]) -> None:
    """Warns of true classes that the detector does not know; raises UserError if it knows none of them."""
    unknown = [label for label in true if label not in known]
    if len(unknown) == len(true):
        raise UserError(f"the detector knows no class of the truth ({', '.join(true[:8])}); see its classes")
    if unknown:
        logger.warning(f"the detector does not know {', '.join(unknown)}: their ap of 0 counts in the mean of classes")


def warn_if_outside(path: str, found: Mapping[str, Detections], sizes: Mapping[str, tuple[int, int]]) -> None:
    """Warns if boxes of a result file reach far beyond their images of `sizes` (h, w), as those of enlarged ones do."""
    for name, detections in found.items():
        height, width = sizes[name]
        if len(detections.boxes) and (detections.boxes.max(axis=0)[2:] > OUTSIDE * np.array([width, height])).any():
            logger.warning(f"{path}: boxes reach beyond image {name}; they count in its {width}x{height} pixels")
            return


def _detect_all(
    detector: Detector,
    paths: Mapping[str, Paths],
    names: Sequence[str],
    sizes: Mapping[str, tuple[int, int]],
    *,
    batch: int,
) -> dict[str, dict[str, Detections]]:
    found: dict[str, dict[str, Detections]] = {method: {} for method in paths}
    steps = [(method, name) for method in paths for name in names]
    detected = chain.from_iterable(detect(detector, own, names, sizes, batch=batch) for own in paths.values())
    for method, name in progress(steps, "image", describe=": ".join):
        found[method][name] = next(detected)
    return found


def write_files(folder: Path, comparison: Comparison, *, detector: str) -> None:
    """Writes all files except the page. detector: the name of its file and its description."""
    directions: dict[str, bool | None] = dict.fromkeys(comparison.columns, True)
    for method, found in comparison.detections.items():
        write_detections(folder / "detections" / f"{folder_name(method)}.json", found)
    for suffix, form in TABLES.items():
        text = form(comparison.scores, directions, comparison.intervals)
        write_file(folder / f"table{suffix}", f"{text.rstrip()}\n".encode())
    content: dict[str, Any] = {  # Any: JSON
        "truth": comparison.truth_name,
        "images": len(comparison.truth),
        "objects": comparison.objects,
        "detector": detector,
        "confidence": comparison.confidence,
        "scores": comparison.scores,
        "ci95": comparison.intervals,
        "ap_by_class": comparison.by_class,
        "detected": comparison.detected,
        "seconds": round(comparison.seconds, 1),
        "versions": package_versions(PACKAGES),
    }
    write_file(folder / "detections.json", (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())
