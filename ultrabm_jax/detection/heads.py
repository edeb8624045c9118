"""Converts the outputs of a detector to boxes (n, 4: left, top, right, bottom) in input pixels and scores (n, c).

    nanodet       for each stride: scores (b, n_k, c) and logits (b, n_k, 4 (r + 1)) of the distances from the centre
                  to the sides, distributions over 0 to r strides (Generalized Focal Loss)
    yolox         (b, n, 5 + c): centre and size relative to the grid, objectness and scores
    yolov5        (b, n, 5 + c): centre and size in pixels, objectness and scores
    yolov8        (b, 4 + c, n): centre and size in pixels, scores
    boxes_scores  (b, n, 4) or (b, n, 1, 4): corners; (b, n, c): scores
    final         boxes (n, 4), labels (n,) and scores (n,) after the detector's own suppression; batches of one image

b: images; n: candidates; c: classes. Each head raises UserError with the expected and the given shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import numpy as np

from ultrabm_jax.errors import UserError

if TYPE_CHECKING:
    from ultrabm_jax.detection.description import Description


class Candidates(NamedTuple):
    """Boxes (n, 4) and scores (n, classes) of one image."""

    boxes: np.ndarray
    scores: np.ndarray


Head = Callable[[Sequence[np.ndarray], "Description"], list[Candidates]]


def decode(outputs: Sequence[np.ndarray], description: Description) -> list[Candidates]:
    """The candidates of each image of a batch. Raises UserError if the outputs are not those of the head."""
    return HEADS[description.head]([_in_float32(np.asarray(output)) for output in outputs], description)


def _in_float32(output: np.ndarray) -> np.ndarray:
    """Half precision does not hold positions of large inputs exactly; labels stay integers."""
    return output.astype(np.float32) if np.issubdtype(output.dtype, np.floating) else output


def _nanodet(outputs: Sequence[np.ndarray], description: Description) -> list[Candidates]:
    classes, strides = len(description.classes), description.strides
    centres = [_grid(description.size, stride) + 0.5 for stride in strides]
    scores = [x for x in outputs if x.ndim == 3 and x.shape[2] == classes]
    distances = [x for x in outputs if x.ndim == 3 and x.shape[2] != classes and x.shape[2] % 4 == 0]
    counts = [len(c) for c in centres]
    if [x.shape[1] for x in scores] != counts or [x.shape[1] for x in distances] != counts:
        shapes = ", ".join(f"(b, {n}, {classes}) and (b, {n}, 4 (r + 1))" for n in counts)
        _refuse(description, shapes, outputs)
    boxes = []
    for x, centre, stride in zip(distances, centres, strides, strict=True):
        bins = x.reshape(*x.shape[:2], 4, -1)
        weights = np.exp(bins - bins.max(axis=-1, keepdims=True))
        expected = (weights * np.arange(bins.shape[-1])).sum(axis=-1) / weights.sum(axis=-1) * stride
        at = centre * stride
        boxes.append(np.concatenate([at - expected[..., :2], at + expected[..., 2:]], axis=-1))
    return _split(np.concatenate(boxes, axis=1), np.concatenate(scores, axis=1))


def _yolox(outputs: Sequence[np.ndarray], description: Description) -> list[Candidates]:
    grids = [(_grid(description.size, stride), stride) for stride in description.strides]
    grid = np.concatenate([points for points, _ in grids])
    stride = np.concatenate([np.full((len(points), 1), stride, np.float32) for points, stride in grids])
    (x,) = _expect(outputs, description, [(len(grid), 5 + len(description.classes))])
    centre, size = (x[..., :2] + grid) * stride, np.exp(x[..., 2:4]) * stride
    return _split(_corners(centre, size), x[..., 4:5] * x[..., 5:])


def _yolov5(outputs: Sequence[np.ndarray], description: Description) -> list[Candidates]:
    (x,) = _expect(outputs[:1], description, [(None, 5 + len(description.classes))])
    return _split(_in_pixels(_corners(x[..., :2], x[..., 2:4]), description), x[..., 4:5] * x[..., 5:])


def _yolov8(outputs: Sequence[np.ndarray], description: Description) -> list[Candidates]:
    (x,) = _expect(outputs[:1], description, [(4 + len(description.classes), None)])
    x = x.transpose(0, 2, 1)
    return _split(_in_pixels(_corners(x[..., :2], x[..., 2:4]), description), x[..., 4:])


def _boxes_scores(outputs: Sequence[np.ndarray], description: Description) -> list[Candidates]:
    flat = [x[:, :, 0] if x.ndim == 4 and x.shape[2:] == (1, 4) else x for x in outputs]
    boxes, scores = _expect(flat, description, [(None, 4), (None, len(description.classes))])
    if boxes.shape[1] != scores.shape[1]:
        _refuse(description, "as many boxes as scores", outputs)
    return _split(_in_pixels(boxes, description), scores)


def _final(outputs: Sequence[np.ndarray], description: Description) -> list[Candidates]:
    if len(outputs) != 3 or outputs[0].ndim != 2 or outputs[0].shape[1] != 4 or any(x.ndim != 1 for x in outputs[1:]):
        _refuse(description, "boxes (n, 4), labels (n,) and scores (n,)", outputs)
    boxes, labels, scores = outputs
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(description.classes):
        raise UserError(
            f"the detector's labels go from {labels.min()} to {labels.max()}, but its description has "
            f"{len(description.classes)} classes, counted from 0"
        )
    spread = np.zeros((len(labels), len(description.classes)), np.float32)
    spread[np.arange(len(labels)), labels.astype(int)] = scores
    return [Candidates(_in_pixels(boxes, description), spread)]


HEADS: Mapping[str, Head] = {
    "nanodet": _nanodet,
    "yolox": _yolox,
    "yolov5": _yolov5,
    "yolov8": _yolov8,
    "boxes_scores": _boxes_scores,
    "final": _final,
}


def _grid(size: tuple[int, int], stride: int) -> np.ndarray:
    """(n, 2): x and y of the cells of a feature map, row by row."""
    rows, columns = (-(-side // stride) for side in size)
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    return np.stack([x.ravel(), y.ravel()], axis=1)


def _corners(centre: np.ndarray, size: np.ndarray) -> np.ndarray:
    return np.concatenate([centre - size / 2, centre + size / 2], axis=-1)


def _in_pixels(boxes: np.ndarray, description: Description) -> np.ndarray:
    height, width = description.size
    return boxes * np.array([width, height, width, height], np.float32) if description.normalised else boxes


def _split(boxes: np.ndarray, scores: np.ndarray) -> list[Candidates]:
    return [Candidates(b, s) for b, s in zip(boxes.astype(np.float32), scores.astype(np.float32), strict=True)]


def _expect(
    outputs: Sequence[np.ndarray], description: Description, shapes: Sequence[tuple[int | None, int | None]]
) -> Sequence[np.ndarray]:
    """`outputs`, checked: one of (b, *shape) for each of `shapes`; None: any length."""
    fits = len(outputs) == len(shapes) and all(
        x.ndim == 3 and all(n in (None, m) for n, m in zip(shape, x.shape[1:], strict=True))
        for x, shape in zip(outputs, shapes, strict=True)
    )
    if not fits:
        expected = ", ".join(f"(b, {', '.join('n' if n is None else str(n) for n in shape)})" for shape in shapes)
        _refuse(description, expected, outputs)
    return outputs


def _refuse(description: Description, expected: str, outputs: Sequence[np.ndarray]) -> NoReturn:
    height, width = description.size
    raise UserError(
        f"the detector's outputs do not fit its description: head {description.head!r} with {len(description.classes)} "
        f"classes at {width}x{height} has {expected}; the file gives {', '.join(str(x.shape) for x in outputs)}"
    )
