"""State, sharding, schedules, checkpoints and the loop that uses them.

The loop depends on the methods and they on this room's state and optimiser, so its names load on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ultrabm_jax.training.loop import train_and_evaluate
    from ultrabm_jax.training.run import Run, load_run

__all__ = ["Run", "load_run", "train_and_evaluate"]

_HOME = {"train_and_evaluate": "loop", "Run": "run", "load_run": "run"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
