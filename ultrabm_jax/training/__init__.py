"""Sharding, checkpoints, processes and the training loop."""

from ultrabm_jax.training.loop import train_and_evaluate

__all__ = ["train_and_evaluate"]
