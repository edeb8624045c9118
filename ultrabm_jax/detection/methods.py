"""The methods that are compared: folders of images in which a detector searches, or its results as COCO's JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from ultrabm_jax.detection.boxes import Detections, from_xywh, to_xywh
from ultrabm_jax.detection.detector import Detector
from ultrabm_jax.errors import UserError
from ultrabm_jax.image import read_image, read_size
from ultrabm_jax.image.write import write_file
from ultrabm_jax.metrics.folders import Paths

BATCH = 8  # images that are in memory at once


def common_images(folders: Mapping[str, Paths]) -> list[str]:
    """The images, which every folder must have. Raises UserError with the names of missing ones."""
    everything = sorted(set().union(*folders.values()))
    for method, paths in folders.items():
        if missing := [name for name in everything if name not in paths]:
            raise UserError(f"{method} lacks {len(missing)} of {len(everything)} images, such as {missing[0]}")
    return everything


def detect(
    detector: Detector, paths: Paths, names: Sequence[str], size: Mapping[str, tuple[int, int]]
) -> Iterator[tuple[str, Detections]]:
    """(image, its detections), the boxes scaled to an image of `size` (h, w)."""
    for start in range(0, len(names), BATCH):
        group = names[start : start + BATCH]
        for name, found in zip(group, detector([read_image(paths[name]).rgb for name in group]), strict=True):
            own = read_size(paths[name])
            yield name, found.scaled((size[name][0] / own[0], size[name][1] / own[1]))


def write_detections(path: Path, detections: Mapping[str, Detections]) -> None:
    """COCO's result format, with `file_name` and `category` instead of the numbers of an annotation file."""
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
    """Detections that `write_detections` or any program wrote.

    Entries have `file_name` or `image_id`, and `category` or `category_id`; numbers are those of `annotations`, a COCO
    file. Raises UserError for a file in another format and for images that are not compared.
    """
    try:
        entries = json.loads(Path(path).expanduser().read_text(encoding="utf-8"))
        images, categories = _numbers(annotations)
        rows = [
            (
                _stem(e["file_name"]) if "file_name" in e else images[e["image_id"]],
                str(e["category"]) if "category" in e else categories[e["category_id"]],
                [float(x) for x in e["bbox"]],
                float(e["score"]),
            )
            for e in entries
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not detections in COCO's result format ({error!r})") from error
    if unknown := sorted({row[0] for row in rows} - set(names)):
        raise UserError(f"{path}: {len(unknown)} images are not compared, such as {unknown[0]}")
    found = {}
    for name in names:
        own = [row for row in rows if row[0] == name]
        found[name] = Detections(
            from_xywh([row[2] for row in own]), np.array([row[3] for row in own], np.float32), [row[1] for row in own]
        )
    return found


def _numbers(annotations: str | None) -> tuple[dict[int, str], dict[int, str]]:
    """{image_id: image} and {category_id: name} of a COCO file."""
    if annotations is None or not Path(annotations).is_file():
        return {}, {}
    content = json.loads(Path(annotations).read_text(encoding="utf-8"))
    images = {image["id"]: _stem(image["file_name"]) for image in content["images"]}
    return images, {category["id"]: category["name"] for category in content["categories"]}


def _stem(file_name: str) -> str:
    return Path(file_name).with_suffix("").as_posix()
