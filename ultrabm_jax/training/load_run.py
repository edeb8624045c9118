"""Reads a training run from its workdir: the network and the variables of one checkpoint.

Reads only config.json, the parameters (the moving average if the run has one) and the frozen variables. Builds no
optimiser and no training method.
"""

from __future__ import annotations

import jax

from ultrabm_jax.buckets import AnyPath, absolute, open_path
from ultrabm_jax.errors import UserError
from ultrabm_jax.logging import logger
from ultrabm_jax.metrics import METRICS
from ultrabm_jax.models import task_from_config
from ultrabm_jax.training.checkpoint_reader import CheckpointReader
from ultrabm_jax.training.evaluation_set import unrecorded_evaluation_set
from ultrabm_jax.training.frozen import load_frozen, on_one_device
from ultrabm_jax.training.run import Run
from ultrabm_jax.training.workdir import read_run_config

BEST = "best"  # by the scores of an evaluation


def load_run(workdir: str | AnyPath, *, step: int | None = None, best: bool = False, or_newest: bool = False) -> Run:
    """Loads checkpoint `step` of the run in `workdir`, the best one, or (default) the newest.

    With `best` and `or_newest`, the newest one is loaded if no checkpoint has been evaluated. A damaged checkpoint is
    reported and the next best or next newest is used, unless `step` requests that checkpoint.
    Raises UserError if there is no such run or checkpoint.
    """
    workdir = absolute(open_path(workdir))
    config = read_run_config(workdir)
    task = task_from_config(config)
    if not (workdir / "checkpoints").is_dir():
        raise UserError(f"{workdir} holds no checkpoint yet")
    protocol = config.eval.best
    higher_is_better = bool(METRICS[protocol].higher_is_better)
    checkpoints = CheckpointReader(workdir, metric=protocol, higher_is_better=higher_is_better)
    try:
        wanted, reason = _choose(checkpoints, workdir, step=step, best=best, or_newest=or_newest)
        like = on_one_device(jax.eval_shape(task.init_params, jax.random.key(0)))
        chosen, params, damaged = checkpoints.restore_params(wanted, like)
        for error in damaged:
            logger.warning(f"{error}; checkpoint {chosen} is used")
        evaluated = None
        if reason == BEST:
            evaluated = checkpoints.evaluation_set(chosen) or unrecorded_evaluation_set(config)
            reason = f"{BEST} {evaluated}"
    finally:
        checkpoints.close()
    frozen = load_frozen(workdir)
    variables = {"params": params} | ({} if frozen is None else {"frozen": frozen})
    return Run(config, task, variables, chosen, reason, evaluated)


def _choose(
    checkpoints: CheckpointReader, workdir: AnyPath, *, step: int | None, best: bool, or_newest: bool
) -> tuple[list[int], str]:
    """The steps to try, in order, and the reason for the first."""
    if step is not None:
        return [step], "as requested"
    if best and (steps := checkpoints.steps(best=True)):
        return steps, BEST
    if not (steps := checkpoints.steps()) or (best and not or_newest):
        raise UserError(f"{workdir} holds no {'evaluated ' if best and steps else ''}checkpoint yet")
    return steps, "the newest: no checkpoint has been evaluated" if best else "the newest"
