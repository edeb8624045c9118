"""The checkpoint of a run that a person means by "best", "latest" or a step."""

from __future__ import annotations

from pathlib import Path

from ultrabm_jax.errors import UserError
from ultrabm_jax.inference.runs import Run, load_run
from ultrabm_jax.logging import logger


def load_trained(workdir: str | Path, checkpoint: str = "best") -> Run:
    """The run in `workdir` at `checkpoint`: best, latest or a step. Without a best one, the newest, and says so."""
    if checkpoint == "latest":
        return load_run(workdir)
    if checkpoint.isdecimal():
        return load_run(workdir, step=int(checkpoint))
    if checkpoint != "best":
        raise UserError(f"a checkpoint is best, latest or a step, not {checkpoint!r}")
    try:
        return load_run(workdir, best=True)
    except UserError as error:
        run = load_run(workdir)
        logger.info(f"note: {error}; using the newest, step {run.step}")
        return run
