"""Test images, and the largest difference between the outputs of an exported file and those of the network."""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.models.task import Task
from ultrabm_jax.typing import Variables

Engine = Callable[[np.ndarray], np.ndarray]  # low (b, h, w, c) -> restored (b, s h, s w, 3)


def example_images(task: Task, batch: int, size: tuple[int, int]) -> np.ndarray:
    """Dark float32 images (batch, h, w, c): smooth, with noise."""
    rng = np.random.default_rng(0)
    rows, columns = (np.linspace(0, 1, side, dtype=np.float32) for side in size)
    smooth = 0.05 + 0.2 * rows[:, None] * columns
    noise = 0.05 * rng.random((batch, *size, task.channels), np.float32)
    return np.asarray(smooth[:, :, None] + noise, np.float32)


def largest_difference(engine: Engine, task: Task, variables: Variables, images: np.ndarray) -> float:
    """The largest absolute difference of a value, in units of the range [0, 1]."""
    expected = np.asarray(jax.jit(task.restore)(variables, {"low": images}))
    restored = np.asarray(engine(images))
    if restored.shape != expected.shape:
        raise UserError(f"the exported file returns images of shape {restored.shape}, not {expected.shape}")
    difference = np.abs(restored.astype(np.float64) - expected)
    return float(difference.max()) if np.isfinite(difference).all() else float("inf")


def require_close(difference: float, tolerance: float, what: str) -> None:
    """Raises UserError if a difference exceeds the tolerance."""
    if difference > tolerance:
        raise UserError(f"{what} differs from the network by {difference:.1e}, more than {tolerance:.0e}")
