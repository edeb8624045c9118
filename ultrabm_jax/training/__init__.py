"""Sharding, checkpoints, processes and the training loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ultrabm_jax.training.loop import train_and_evaluate

__all__ = ["train_and_evaluate"]


def __getattr__(name: str) -> object:
    """Imports the training loop on first use: inference needs single modules of this package only."""
    if name == "train_and_evaluate":
        from ultrabm_jax.training.loop import train_and_evaluate

        return train_and_evaluate
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
