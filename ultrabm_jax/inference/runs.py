"""Loads a training run from its workdir for inference (training/load_run.py reads it)."""

from __future__ import annotations

from pathlib import Path

from ultrabm_jax.errors import UserError
from ultrabm_jax.logging import logger
from ultrabm_jax.training.load_run import load_run
from ultrabm_jax.training.run import Run

__all__ = ["Run", "load_run", "load_trained"]


def load_trained(workdir: str | Path, checkpoint: str = "best") -> Run:
    """The run in `workdir` at `checkpoint`: best, latest or a step. Logs the step and why it is used.

    If no checkpoint has been evaluated, "best" is the newest one.
    """
    if checkpoint in ("best", "latest"):
        run = load_run(workdir, best=checkpoint == "best", or_newest=True)
    elif checkpoint.isdecimal():
        run = load_run(workdir, step=int(checkpoint))
    else:
        raise UserError(f"a checkpoint is best, latest or a step, not {checkpoint!r}")
    logger.info("%s: step %s, %s", workdir, f"{run.step:,}", run.reason)
    if run.evaluated is not None and run.evaluated.is_test:
        logger.warning("%s: the test images chose this checkpoint; its results on them are too good", workdir)
    return run
