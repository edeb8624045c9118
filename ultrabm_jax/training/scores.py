"""Score files of checkpoints: the evaluation metrics of a step, which select the best checkpoint.

They lie where Orbax writes the metrics of a checkpoint, so Orbax reads them when it opens a folder of checkpoints.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from ultrabm_jax.logging import logger


def read_scores(checkpoint: Path) -> dict[str, float]:
    """The scores of a checkpoint; empty if it was not evaluated or its scores cannot be read."""
    try:
        return dict(json.loads(_score_file(checkpoint).read_text()))
    except (OSError, ValueError, TypeError):
        return {}


def write_scores(checkpoint: Path, scores: Mapping[str, float]) -> None:
    """Replaces the score file of a checkpoint atomically. Logs a warning if it cannot be written."""
    path = _score_file(checkpoint)
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_name("scores.tmp")
    try:
        temporary.write_text(json.dumps(dict(scores)))
        os.replace(temporary, path)
    except OSError as error:  # a full disk; the state itself is saved
        logger.warning("%s could not be written (%s)", path, error.strerror)


def remove_damaged_scores(folder: Path) -> None:
    """Removes unreadable score files, with which Orbax cannot open a folder of checkpoints. The states stay usable."""
    if not folder.is_dir():
        return
    for step in sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal()):
        path = _score_file(folder / str(step))
        if path.is_file() and not read_scores(folder / str(step)) and path.read_bytes() != b"{}":
            path.unlink()
            logger.warning("%s is damaged; its checkpoint is no longer a candidate for the best", path)


def _score_file(checkpoint: Path) -> Path:
    return checkpoint / "metrics" / "metrics"
