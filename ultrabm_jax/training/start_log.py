"""What a training run logs when it starts, or when it has nothing to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import jax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from ultrabm_jax.logging import logger
from ultrabm_jax.optim.state import TrainState
from ultrabm_jax.stages import Stage
from ultrabm_jax.training.resume import changed_fields


def describe_run(config: ConfigDict, mesh: Mesh, state: TrainState, begin: str) -> str:
    """One line: the model, its size and the devices, then `begin`."""
    count = sum(leaf.size for leaf in jax.tree.leaves(state.params))
    axes = " x ".join(f"{axis} {size}" for axis, size in mesh.shape.items())
    axes += f"; {jax.process_count()} processes" if jax.process_count() > 1 else ""
    variant = config.model.get("variant")  # not every model has variants
    name = f"{config.model.name} x{config.model.scale}" + (f" {variant}" if variant else "")
    return f"{name}: {count:,} trained parameters, {mesh.size} {jax.devices()[0].platform} device(s) ({axes}); {begin}"


def describe_finished(earlier: ConfigDict, config: ConfigDict) -> str:
    """Why there is nothing to do for `config` in the workdir of a run that has finished with the config `earlier`."""
    steps, ignored = config.train.steps, changed_fields(earlier, config)
    rest = f"; changed fields have no effect: {', '.join(ignored)}" if ignored else ""
    return f"nothing to do: the run has finished its {steps} steps; to extend it, raise --config.train.steps{rest}"


def log_start(stages: Sequence[Stage], changes: Iterable[str], notes: Iterable[str]) -> None:
    """Logs the stages, if there are several, what has changed since the run was interrupted, and what to know."""
    if len(stages) > 1:
        logger.info("stages: %s", "; ".join(map(str, stages)))
    for line in changes:
        logger.info("changed: %s", line)
    for note in notes:
        logger.info("note: %s", note)
