"""A detector: an ONNX file, run by ONNX Runtime on the CPU (`pip install ".[detection]"`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ultrabm_jax.detection.boxes import Detections
from ultrabm_jax.detection.description import Description
from ultrabm_jax.detection.heads import Candidates, decode
from ultrabm_jax.detection.nms import suppress
from ultrabm_jax.detection.preprocess import Placement, to_image, to_input
from ultrabm_jax.errors import UserError, first_line
from ultrabm_jax.extras import missing_extra

if TYPE_CHECKING:
    import onnxruntime

MIN_SCORE = 0.01  # weaker candidates are dropped, which hardly changes AP
MAX_CANDIDATES = 1000  # before suppression
MAX_DETECTIONS = 100  # of an image, as in COCO
ERRORS_ONLY = 3  # ONNX Runtime's log level
INPUT_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}


class Detector:
    """Detects objects in images: `detector([image, ...])`.

    file: an ONNX file with one image input of 16, 32 or 64-bit floats. threads: of ONNX Runtime within one run; 0: all
    cores. Several threads may call the detector at once.
    batch: images per run that the file requires; None: any number.

    Raises UserError for a file that cannot be loaded or run, or whose input does not fit the description.
    """

    def __init__(self, file: str | Path, description: Description, *, threads: int = 0) -> None:
        self.description = description
        self._session = _load(file, threads)
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            raise UserError(f"{file}: a detector has one input, this file {len(inputs)}")
        self._file, self._input, shape = file, inputs[0].name, inputs[0].shape
        if inputs[0].type not in INPUT_TYPES:
            raise UserError(f"{file}: the input is {inputs[0].type}; known: {', '.join(INPUT_TYPES)}")
        self._type = INPUT_TYPES[inputs[0].type]
        self._single = len(shape) == 3 and description.head == "final"  # torchvision's exports of one image
        shape = [1, *shape] if self._single else shape
        height, width = description.size
        expected = [3, height, width] if description.layout == "nchw" else [height, width, 3]
        if len(shape) != 4 or any(isinstance(n, int) and n != m for n, m in zip(shape[1:], expected, strict=True)):
            raise UserError(f"{file}: the input has the shape {shape}, but the description says {['b', *expected]}")
        self.batch = shape[0] if isinstance(shape[0], int) else None
        if description.head == "final":
            self.batch = 1  # its outputs do not tell images apart

    def __call__(self, images: Iterable[np.ndarray]) -> list[Detections]:
        """The detections in each image (h, w, 3), float in [0, 1], of any size: at most 100, best score first.

        One image is held in memory at a time, and all inputs of the network. A file with a free batch size runs once.
        """
        inputs = [to_input(image, self.description) for image in images]
        size = self.batch or max(1, len(inputs))
        return [found for k in range(0, len(inputs), size) for found in self._detect(inputs[k : k + size], size)]

    def _detect(self, inputs: Sequence[tuple[np.ndarray, Placement]], size: int) -> list[Detections]:
        values, placements = zip(*inputs, strict=True)
        batch = np.stack([*values, *[values[-1]] * (size - len(values))])
        candidates = decode(self._run(batch.astype(self._type)), self.description)
        return [self._select(c, placement) for c, placement in zip(candidates, placements, strict=False)]

    def _run(self, batch: np.ndarray) -> Sequence[np.ndarray]:
        try:
            found: Sequence[np.ndarray] = self._session.run(None, {self._input: batch[0] if self._single else batch})
        except Exception as error:  # ONNX Runtime has no common class for its errors
            raise UserError(f"{self._file}: ONNX Runtime cannot run it: {first_line(error)}") from error
        return found

    def _select(self, candidates: Candidates, placement: Placement) -> Detections:
        rows, classes = np.nonzero(candidates.scores >= MIN_SCORE)
        scores = candidates.scores[rows, classes]
        best = np.argsort(-scores, kind="stable")[:MAX_CANDIDATES]
        boxes, scores, classes = candidates.boxes[rows[best]], scores[best], classes[best]
        kept = suppress(boxes, scores, classes, overlap=self.description.nms, limit=MAX_DETECTIONS)
        labels = [self.description.classes[k] for k in classes[kept]]
        return Detections(to_image(boxes[kept], placement), np.clip(scores[kept], 0, 1), labels)


def _load(file: str | Path, threads: int) -> onnxruntime.InferenceSession:
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(missing_extra("onnxruntime", "detection")) from error
    if not Path(file).is_file():
        raise UserError(f"{file}: there is no such detector file")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    options.intra_op_num_threads = threads
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has no common class for its errors
        raise UserError(f"{file}: ONNX Runtime cannot load it: {first_line(error)}") from error
