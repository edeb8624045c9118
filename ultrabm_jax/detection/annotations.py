"""True boxes: COCO's JSON, ExDark's text files, DARK FACE's text files, or detections on the references.

    COCO       one JSON file with images, annotations and categories
    ExDark     a folder of NAME.EXT.txt: a header line, then one line "Class left top width height ..." per object
    DARK FACE  a folder of NAME.txt: the number of faces, then one line "left top right bottom" per face

Classes are matched with those of the detector by name. ExDark's names are translated to COCO's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ultrabm_jax.detection.boxes import Detections, Truth, from_xywh
from ultrabm_jax.errors import UserError

EXDARK_HEADER = "% bbGt"
EXDARK_CLASSES = {"motorbike": "motorcycle", "people": "person", "table": "dining table"}
FACE = "face"


def read_annotations(path: str | Path, sizes: Mapping[str, tuple[int, int]]) -> dict[str, Truth]:
    """{image: its true boxes} for the images of `sizes` ({image: (h, w)}) that are annotated.

    Raises UserError for a file in none of the formats, or if no image is annotated.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        truth = {name: _read_text(file, sizes[name]) for name, file in _text_files(path, sizes).items()}
    else:
        truth = _read_coco(path, sizes)
    if not truth:
        raise UserError(f"{path}: none of the {len(sizes)} images is annotated, such as {next(iter(sizes), 'none')}")
    return truth


def pseudo_truth(detections: Detections, size: tuple[int, int], *, confidence: float) -> Truth:
    """RED's protocol: the true boxes are the detections on the reference with a score above `confidence`."""
    kept = detections.above(np.nextafter(np.float32(confidence), np.float32(1)))
    return Truth.of_boxes(size, kept.boxes, kept.labels)


def _read_coco(path: Path, sizes: Mapping[str, tuple[int, int]]) -> dict[str, Truth]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as JSON: {error}") from error
    try:
        categories = {category["id"]: str(category["name"]) for category in content["categories"]}
        names = {image["id"]: image_name(image["file_name"]) for image in content["images"]}
        shapes = {names[image["id"]]: (image.get("height"), image.get("width")) for image in content["images"]}
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in names.values()}  # Any: parsed JSON
        for annotation in content["annotations"]:
            found[names[annotation["image_id"]]].append({**annotation, "name": categories[annotation["category_id"]]})
        truth = {}
        for name, size in sizes.items():
            known = name if name in found else Path(name).name
            if known in found:
                height, width = shapes[known]
                truth[name] = _coco_truth(found[known], (height, width) if height and width else size)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise UserError(f"{path}: not annotations in COCO's format ({error!r})") from error
    return truth


def _coco_truth(objects: Sequence[Mapping[str, Any]], size: tuple[int, int]) -> Truth:  # Any: parsed JSON
    boxes = from_xywh([o["bbox"] for o in objects])
    areas = np.array([o.get("area", o["bbox"][2] * o["bbox"][3]) for o in objects], np.float64)
    crowd = np.array([bool(o.get("iscrowd")) for o in objects], bool)
    return Truth(size, boxes, [o["name"] for o in objects], crowd, areas)


def image_name(file_name: str) -> str:
    """The name of an image in a comparison: its path without the extension."""
    return Path(file_name).with_suffix("").as_posix()


def _text_files(folder: Path, sizes: Mapping[str, tuple[int, int]]) -> dict[str, Path]:
    """{image: NAME.txt or NAME.EXT.txt}."""
    by_name: dict[str, Path] = {}
    for file in sorted(folder.rglob("*.txt")):
        stem = file.with_suffix("").name
        by_name.setdefault(stem, file)
        by_name.setdefault(Path(stem).stem, file)
    return {name: by_name[Path(name).name] for name in sizes if Path(name).name in by_name}


def _read_text(file: Path, size: tuple[int, int]) -> Truth:
    lines = [line.split() for line in file.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    try:
        if lines and " ".join(lines[0]).startswith(EXDARK_HEADER):
            rows = lines[1:]
            boxes = from_xywh([[float(x) for x in row[1:5]] for row in rows])
            return Truth.of_boxes(size, boxes, [_exdark_name(row[0]) for row in rows])
        if lines and len(lines[0]) == 1 and int(lines[0][0]) == len(lines) - 1:
            boxes = np.array([[float(x) for x in row[:4]] for row in lines[1:]], np.float32).reshape(-1, 4)
            return Truth.of_boxes(size, boxes, [FACE] * len(boxes))
    except (ValueError, IndexError) as error:
        raise UserError(f"{file}: a line of these annotations is not a box ({error})") from error
    raise UserError(f"{file}: neither ExDark's format (first line {EXDARK_HEADER!r}) nor DARK FACE's (number of faces)")


def _exdark_name(name: str) -> str:
    lower = name.lower()
    return EXDARK_CLASSES.get(lower, lower)


def labels_of(truth: Mapping[str, Truth]) -> Sequence[str]:
    """The classes that occur, sorted."""
    return sorted({label for one in truth.values() for label in one.labels})
