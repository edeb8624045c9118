"""Score files of checkpoints: the evaluation metrics of a step, which select the best checkpoint.

They lie where Orbax writes the metrics of a checkpoint, so Orbax reads them when it opens a folder of checkpoints:

    {"psnr_rgb": 19.3, "evaluation_set": {"metric": "psnr_rgb", "dataset": "lol", "split": "val", ...}}

`evaluation_set` (evaluation_set.py) is missing in files of earlier releases.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, TypeAlias

from ultrabm_jax.buckets import AnyPath, replace_text
from ultrabm_jax.logging import logger
from ultrabm_jax.training.evaluation_set import EvaluationSet

SET = "evaluation_set"
Record: TypeAlias = dict[str, Any]  # the content of a score file; Any: parsed JSON


def as_record(scores: Mapping[str, float], evaluated: EvaluationSet | None) -> Record:
    """The content of a score file; empty without scores."""
    return dict(scores) | ({SET: dataclasses.asdict(evaluated)} if scores and evaluated is not None else {})


def read_scores(checkpoint: AnyPath) -> dict[str, float]:
    """The scores of a checkpoint; empty if it was not evaluated or its scores cannot be read."""
    return {name: value for name, value in _read(checkpoint).items() if isinstance(value, int | float)}


def read_evaluation_set(checkpoint: AnyPath) -> EvaluationSet | None:
    """The evaluation set of the scores of a checkpoint; None if it is not recorded."""
    fields = _read(checkpoint).get(SET)
    try:
        return EvaluationSet(**fields) if isinstance(fields, dict) else None
    except TypeError:  # of another release
        return None


def write_scores(checkpoint: AnyPath, record: Record) -> None:
    """Replaces the score file of a checkpoint atomically. Logs a warning if it cannot be written."""
    path = _score_file(checkpoint)
    path.parent.mkdir(exist_ok=True)
    try:
        replace_text(path, json.dumps(record))
    except OSError as error:  # a full disk; the state itself is saved
        logger.warning("%s could not be written (%s)", path, error.strerror)


def remove_damaged_scores(folder: AnyPath) -> None:
    """Removes unreadable score files, with which Orbax cannot open a folder of checkpoints. The states stay usable."""
    if not folder.is_dir():
        return
    for step in sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal()):
        path = _score_file(folder / str(step))
        if path.is_file() and not read_scores(folder / str(step)) and path.read_bytes() != b"{}":
            path.unlink()
            logger.warning("%s is damaged; its checkpoint is no longer a candidate for the best", path)


def _read(checkpoint: AnyPath) -> Record:
    try:
        return dict(json.loads(_score_file(checkpoint).read_text()))
    except (OSError, ValueError, TypeError):
        return {}


def _score_file(checkpoint: AnyPath) -> AnyPath:
    return checkpoint / "metrics" / "metrics"
