"""The methods that are compared: folders of images, or the results of a detector in COCO's format."""

from __future__ import annotations

import collections
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from ultrabm_jax.detection.annotations import image_name
from ultrabm_jax.detection.boxes import Detections, from_xywh, to_xywh
from ultrabm_jax.detection.detector import Detector
from ultrabm_jax.errors import UserError
from ultrabm_jax.image import read_image
from ultrabm_jax.image.write import write_file
from ultrabm_jax.metrics.folders import Paths

BATCH = 8  # images per run of the detector
MAX_WORKERS = 8  # threads; each holds one image and the inputs of one batch


def common_images(folders: Mapping[str, Paths]) -> list[str]:
    """The names of the images, which every folder must contain. Raises UserError that names a missing one."""
    everything = sorted(set().union(*folders.values()))
    for method, paths in folders.items():
        if missing := [name for name in everything if name not in paths]:
            raise UserError(f"{method} lacks {len(missing)} of {len(everything)} images, such as {missing[0]}")
    return everything


def detect(
    detector: Detector,
    paths: Paths,
    names: Sequence[str],
    sizes: Mapping[str, tuple[int, int]],
    *,
    batch: int = BATCH,
    workers: int | None = None,
) -> Iterator[Detections]:
    """The detections in each image of `names`, in order, with the boxes scaled to an image of its size (h, w).

    batch: images per run, for files whose batch size is free. Batches are read, detected and decoded in parallel by
    `workers` threads: by default one per core, at most 8.
    """
    step = detector.batch or batch
    groups = [names[start : start + step] for start in range(0, len(names), step)]
    workers = workers or min(MAX_WORKERS, os.cpu_count() or 1)
    pending: collections.deque[Future[list[Detections]]] = collections.deque()
    with ThreadPoolExecutor(workers) as pool:
        for group in groups:
            pending.append(pool.submit(_detect_batch, detector, [(paths[name], sizes[name]) for name in group]))
            if len(pending) > workers:
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()


def _detect_batch(detector: Detector, files: Sequence[tuple[Path, tuple[int, int]]]) -> list[Detections]:
    """The detections in each file, scaled to an image of the given size."""
    shapes: list[tuple[int, int]] = []

    def read(path: Path) -> np.ndarray:
        image = read_image(path).rgb
        shapes.append(image.shape[:2])
        return image

    detected = detector(read(path) for path, _ in files)
    return [
        found.scaled((height / shape[0], width / shape[1]))
        for found, (_, (height, width)), shape in zip(detected, files, shapes, strict=True)
    ]


def write_detections(path: Path, detections: Mapping[str, Detections]) -> None:
    """Writes COCO's result format, with `file_name` and `category` in place of the ids of an annotation file."""
    entries = [
        {
            "file_name": name,
            "category": label,
            "bbox": [round(x, 2) for x in to_xywh(box)],
            "score": round(float(score), 5),
        }
        for name, found in detections.items()
        for box, label, score in zip(found.boxes, found.labels, found.scores, strict=True)
    ]
    write_file(path, (json.dumps(entries) + "\n").encode())


def read_detections(path: str, names: Sequence[str], annotations: str | None) -> dict[str, Detections]:
    """Detections in COCO's result format, written by `write_detections` or any other program.

    Entries have `file_name`, with or without its extension, or `image_id`, and `category` or `category_id`; the ids are
    those of the COCO file `annotations`. Raises UserError for a file in another format and for images that are not
    compared.
    """
    images, categories = _ids(annotations)
    known = {Path(name).name: name for name in names} | {name: name for name in names}
    try:
        entries = json.loads(Path(path).expanduser().read_text(encoding="utf-8"))
        rows = [
            (
                _compared(e["file_name"] if "file_name" in e else images[e["image_id"]], known),
                str(e["category"]) if "category" in e else categories[e["category_id"]],
                [float(x) for x in e["bbox"]],
                float(e["score"]),
            )
            for e in entries
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        hint = "" if images else "; image_id and category_id need --annotations FILE.json"
        raise UserError(f"{path}: not detections in COCO's result format ({error!r}){hint}") from error
    if unknown := sorted({row[0] for row in rows} - set(names)):
        raise UserError(f"{path}: {len(unknown)} images are not compared, such as {unknown[0]}")
    by_image: dict[str, list[tuple[str, list[float], float]]] = {name: [] for name in names}
    for name, label, box, score in rows:
        by_image[name].append((label, box, score))
    return {
        name: Detections(
            from_xywh([box for _, box, _ in own]),
            np.array([score for _, _, score in own], np.float32),
            [label for label, _, _ in own],
        )
        for name, own in by_image.items()
    }


def _compared(file_name: str, known: Mapping[str, str]) -> str:
    """The image of a file name, which may be without its extension; `known` has the images by path and by name."""
    return known.get(file_name) or known.get(image_name(file_name), image_name(file_name))


def _ids(annotations: str | None) -> tuple[dict[int, str], dict[int, str]]:
    """{image_id: image} and {category_id: name} of a COCO file."""
    if annotations is None or not (file := Path(annotations).expanduser()).is_file():
        return {}, {}
    content = json.loads(file.read_text(encoding="utf-8"))
    images = {image["id"]: image_name(image["file_name"]) for image in content["images"]}
    return images, {category["id"]: category["name"] for category in content["categories"]}
