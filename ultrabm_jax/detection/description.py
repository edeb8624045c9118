"""How a detector's ONNX file is used: its input, the meaning of its outputs, and its classes.

A preset, or a JSON file with the fields of `Description`:

    {"head": "yolox", "size": [640, 640], "resize": "letterbox", "colours": "bgr", "classes": "coco"}
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

from ultrabm_jax.detection.heads import HEADS
from ultrabm_jax.errors import UserError

_COCO = """
person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, stop sign,
parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, backpack, umbrella,
handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove, skateboard,
surfboard, tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange,
broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, tv,
laptop, mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, book, clock, vase,
scissors, teddy bear, hair drier, toothbrush
"""
COCO_CLASSES = tuple(name.strip() for name in _COCO.split(","))
# COCO's ids of categories that no image has; torchvision's detectors count them, and a background as 0.
_UNUSED = {12: "street sign", 26: "hat", 29: "shoe", 30: "eye glasses", 45: "plate", 66: "mirror", 68: "window",
           69: "desk", 71: "door", 83: "blender"}  # fmt: skip


def _by_id() -> tuple[str, ...]:
    names = iter(COCO_CLASSES)
    return ("background", *(_UNUSED.get(k) or next(names) for k in range(1, len(COCO_CLASSES) + len(_UNUSED) + 1)))


CLASS_LISTS: Mapping[str, tuple[str, ...]] = {"coco": COCO_CLASSES, "coco91": _by_id()}
RESIZES = ("letterbox", "stretch")
COLOURS = ("rgb", "bgr")
LAYOUTS = ("nchw", "nhwc")


@dataclasses.dataclass(frozen=True)
class Description:
    """How the input is made and the outputs are read. The heads are documented in heads.py.

    size: height and width of the network's input. resize: letterbox keeps the aspect ratio and pads with `pad` at the
    bottom and right; stretch does not. mean, std: of each channel, in the order of `colours`, for values from 0 to 255:
    the input is (x - mean) / std. strides: of the feature maps, for heads with grids. normalised: boxes are fractions
    of the input's width and height. nms: IoU above which the weaker box of a class is removed; 1 or more: never.
    classes: names in the order of the outputs.

    Raises UserError for a value that its field does not take.
    """

    head: str
    size: tuple[int, int]
    classes: tuple[str, ...] = COCO_CLASSES
    resize: str = "letterbox"
    pad: float = 114.0
    colours: str = "rgb"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (255.0, 255.0, 255.0)
    layout: str = "nchw"
    strides: tuple[int, ...] = (8, 16, 32)
    normalised: bool = False
    nms: float = 0.6

    def __post_init__(self) -> None:
        for field, known in (("head", tuple(HEADS)), ("resize", RESIZES), ("colours", COLOURS), ("layout", LAYOUTS)):
            if getattr(self, field) not in known:
                raise UserError(f"the detector's {field} is {getattr(self, field)!r}; known: {', '.join(known)}")
        for field, count in (("size", 2), ("mean", 3), ("std", 3), ("strides", None)):
            values = _items(getattr(self, field))
            if not values or len(values) != (count or len(values)) or not all(map(_is_number, values)):
                given = getattr(self, field)
                raise UserError(f"the detector's {field} takes {count or 'one or more'} numbers, not {given}")
        for field in ("size", "strides"):
            if not all(isinstance(x, int) and x > 0 for x in getattr(self, field)):
                raise UserError(f"the detector's {field} takes positive integers, not {getattr(self, field)}")
        if 0 in self.std:
            raise UserError(f"the detector's std has a zero: {self.std}")
        for field in ("pad", "nms"):
            if not _is_number(getattr(self, field)):
                raise UserError(f"the detector's {field} takes a number, not {getattr(self, field)!r}")
        if not isinstance(self.normalised, bool):
            raise UserError(f"the detector's normalised is true or false, not {self.normalised!r}")
        names = _items(self.classes)
        if not names or not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
            raise UserError(f"the detector's classes are a list of names, each once, or {' or '.join(CLASS_LISTS)}")


def _items(value: object) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else ()


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


PRESETS: Mapping[str, Description] = {
    # RangiLyu's NanoDet-m at 416 pixels
    "nanodet": Description(
        "nanodet",
        (416, 416),
        resize="stretch",
        colours="bgr",
        mean=(103.53, 116.28, 123.675),
        std=(57.375, 57.12, 58.395),
    ),
    # Megvii's YOLOX as exported by its tools/export_onnx.py
    "yolox": Description("yolox", (640, 640), colours="bgr", std=(1.0, 1.0, 1.0), nms=0.45),
    # Ultralytics' YOLOv8 and later
    "yolov8": Description("yolov8", (640, 640), nms=0.7),
    # Ultralytics' YOLOv5
    "yolov5": Description("yolov5", (640, 640), nms=0.45),
    # Tianxiaomo's YOLOv4: boxes and confidences in two outputs
    "yolov4": Description("boxes_scores", (480, 640), resize="stretch", normalised=True, nms=0.6),
    # Torchvision's Faster R-CNN, exported at a fixed size
    "torchvision": Description("final", (800, 800), classes=CLASS_LISTS["coco91"], nms=1.0),
}


def read_description(name: str) -> Description:
    """A preset, or the description in a JSON file. Raises UserError for an unknown name or a wrong field."""
    if name in PRESETS:
        return PRESETS[name]
    path = Path(name).expanduser()
    if path.suffix.lower() != ".json":
        raise UserError(f"unknown description {name!r}; known: {', '.join(PRESETS)}, or a JSON file")
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as JSON: {error}") from error
    known = {field.name for field in dataclasses.fields(Description)}
    if not isinstance(fields, dict) or not {"head", "size"} <= fields.keys() <= known:
        raise UserError(f"{path}: a description has head and size, and optionally {', '.join(sorted(known))}")
    if isinstance(fields.get("classes"), str):
        fields["classes"] = CLASS_LISTS.get(fields["classes"], fields["classes"])
    for field, value in fields.items():
        if isinstance(value, list):
            fields[field] = tuple(value)
    try:
        return Description(**fields)
    except (TypeError, UserError) as error:
        raise UserError(f"{path}: {error}") from error
