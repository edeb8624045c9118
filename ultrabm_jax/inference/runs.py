"""A finished or stopped run, read back from its workdir for evaluation and use."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from ultrabm_jax.errors import UserError
from ultrabm_jax.logging import logger
from ultrabm_jax.methods import create_method
from ultrabm_jax.metrics import METRICS
from ultrabm_jax.optim.state import TrainState
from ultrabm_jax.training.checkpoints import Checkpoints
from ultrabm_jax.training.workdir import load_frozen, on_one_device, read_config


@dataclasses.dataclass(frozen=True)
class Run:
    """`model.apply(variables, low)` restores; `variables` are those of checkpoint `step`."""

    config: ConfigDict
    model: nn.Module
    variables: dict[str, Any]
    step: int


def load_run(workdir: str | Path, *, step: int | None = None, best: bool = False) -> Run:
    """Checkpoint `step` of the run in `workdir`, the best one, or (default) the newest.

    One that is damaged is named on standard error, and the next best or next newest is taken. Raises
    UserError if there is no such run or checkpoint.
    """
    workdir = Path(workdir).absolute()
    config = read_config(workdir)
    method = create_method(config)
    protocol = config.eval.best
    if not (workdir / "checkpoints").is_dir():
        raise UserError(f"{workdir} holds no checkpoint yet")
    higher_is_better = METRICS[protocol].higher_is_better
    checkpoints = Checkpoints(workdir, metric=protocol, higher_is_better=higher_is_better, reading=True)
    try:
        wanted = checkpoints.steps(best=best) if step is None else [step]
        if not wanted:
            raise UserError(f"{workdir} holds no {'evaluated ' if best else ''}checkpoint yet")
        chosen, state, damaged = checkpoints.restore_first(wanted, _abstract_state(method))
        for error in damaged:
            logger.warning(f"{error}; checkpoint {chosen} is used")
    finally:
        checkpoints.close()
    frozen = load_frozen(workdir)
    state = state.replace(frozen={} if frozen is None else {"model": frozen})
    return Run(config, method.model, method.variables(state), chosen)


def _abstract_state(method: Any) -> TrainState:
    return on_one_device(jax.eval_shape(method.init, jax.random.key(0), jnp.zeros((1, 16, 16, 3))))
