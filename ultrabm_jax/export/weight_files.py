"""Weights as safetensors or PyTorch files, with a description of the network (inference/described.py)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np

from ultrabm_jax.export.difference import example_images, largest_difference, require_close
from ultrabm_jax.export.source import Source
from ultrabm_jax.inference.described import DESCRIPTION, load_described, save_described

TOLERANCE = 1e-6  # RED's gains are computed again when they are read


def export_weights(source: Source, path: Path) -> Iterator[str]:
    """Writes `path`, loads it again and compares its output; yields what to print."""
    save_described(path, source.task, source.variables, licence=source.licence, source=source.origin)
    yield f"wrote {path} and {path.with_suffix(DESCRIPTION).name}"
    task, variables = load_described(path)
    images = example_images(task, 1, (task.multiple, task.multiple))

    def reloaded(low: np.ndarray) -> np.ndarray:
        return np.asarray(jax.jit(task.restore)(variables, {"low": low}))

    difference = largest_difference(reloaded, source.task, source.variables, images)
    require_close(difference, TOLERANCE, str(path))
    yield f"loaded again, its output differs from the network's by at most {difference:.1e}"
