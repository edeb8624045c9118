"""Loads a training run from its workdir for inference: the network and the variables of one checkpoint.

Reads only config.json, the parameters (the moving average if the run has one) and the frozen variables. Builds no
optimiser and no training method.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import flax.linen as nn
import jax
from ml_collections import ConfigDict

from ultrabm_jax.errors import UserError
from ultrabm_jax.logging import logger
from ultrabm_jax.metrics import METRICS
from ultrabm_jax.models import task_from_config
from ultrabm_jax.models.task import Task
from ultrabm_jax.training.checkpoints import Checkpoints
from ultrabm_jax.training.workdir import load_frozen, on_one_device, read_run_config
from ultrabm_jax.typing import Variables


@dataclasses.dataclass(frozen=True)
class Run:
    """`task.restore(variables, {"low": low})` restores; `variables` are those of checkpoint `step`."""

    config: ConfigDict
    task: Task
    variables: Variables
    step: int

    @property
    def model(self) -> nn.Module:
        """The network: `model.apply(variables, low)`."""
        return self.task.model


def load_trained(workdir: str | Path, checkpoint: str = "best") -> Run:
    """The run in `workdir` at `checkpoint`: best, latest or a step.

    If no checkpoint has been evaluated yet, "best" falls back to the newest one and a note is logged.
    """
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


def load_run(workdir: str | Path, *, step: int | None = None, best: bool = False) -> Run:
    """Loads checkpoint `step` of the run in `workdir`, the best one, or (default) the newest.

    A damaged checkpoint is reported and the next best or next newest is used, unless `step` requests that checkpoint.
    Raises UserError if there is no such run or checkpoint.
    """
    workdir = Path(workdir).absolute()
    config = read_run_config(workdir)
    task = task_from_config(config)
    if not (workdir / "checkpoints").is_dir():
        raise UserError(f"{workdir} holds no checkpoint yet")
    protocol = config.eval.best
    higher_is_better = METRICS[protocol].higher_is_better
    checkpoints = Checkpoints(workdir, metric=protocol, higher_is_better=higher_is_better, reading=True)
    try:
        wanted = checkpoints.steps(best=best) if step is None else [step]
        if not wanted:
            raise UserError(f"{workdir} holds no {'evaluated ' if best else ''}checkpoint yet")
        like = on_one_device(jax.eval_shape(task.init_params, jax.random.key(0)))
        chosen, params, damaged = checkpoints.restore_params(wanted, like)
        for error in damaged:
            logger.warning(f"{error}; checkpoint {chosen} is used")
    finally:
        checkpoints.close()
    frozen = load_frozen(workdir)
    return Run(config, task, {"params": params} | ({} if frozen is None else {"frozen": frozen}), chosen)
