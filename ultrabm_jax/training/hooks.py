"""What follows a step: read earlier metrics, log, evaluate, save a checkpoint."""

from __future__ import annotations

import math
from typing import Any

import jax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from ultrabm_jax.logging import logger
from ultrabm_jax.methods import Method
from ultrabm_jax.optim.state import TrainState
from ultrabm_jax.training.checkpoints import Checkpoints
from ultrabm_jax.training.meter import Meter
from ultrabm_jax.training.progress import Progress
from ultrabm_jax.training.validation import Validation
from ultrabm_jax.training.writers import Writer


class StepHooks:
    """Holds what outlives a step; `after_step` is called once for each, in order."""

    def __init__(
        self,
        config: ConfigDict,
        method: Method,
        mesh: Mesh,
        checkpoints: Checkpoints,
        writer: Writer,
        progress: Progress,
        eval_source: Any,
        *,
        start: int,
    ) -> None:
        self._config, self._method = config, method
        self._checkpoints, self._writer, self._progress = checkpoints, writer, progress
        self._meter = Meter(max_bad=config.train.max_nonfinite_steps, required=method.required_steps)
        self._validation = Validation(method.task.restore, eval_source, mesh)
        self.step = self._start = start  # done so far
        self._warned: set[str] = set()

    def after_step(self, state: TrainState, metrics: dict[str, jax.Array], *, examples: int) -> None:
        """`metrics` of the step that made `state` out of `examples` examples."""
        # Counting here instead of reading state.step keeps the host from waiting for the device.
        step = self.step = self.step + 1
        config, last = self._config, step == self._config.train.steps
        self._meter.add(step, metrics)
        self._progress.advance(examples)
        if step % config.log_every == 0 or last:
            self._log(step)
        scores = None
        if (config.eval.every and step % config.eval.every == 0) or last:
            self._meter.flush()
            scores = self._evaluate(state, step)
        if scores is not None or step % config.checkpoint.every == 0:
            self._meter.flush()
            self._checkpoints.save(state, metrics=scores)
            self._progress.restart(step)

    def finish(self, state: TrainState) -> None:
        """Returns when the last state is on disk, be it the config's last step or not."""
        if self.step > self._start:
            self._meter.flush()
            self._checkpoints.finish(state)
        if self.step < self._config.train.steps:
            logger.info("stopped by SIGTERM at step %d; run the same command to continue", self.step)

    def _log(self, step: int) -> None:
        scalars = self._meter.averages()
        scalars["images_per_second"] = self._progress.report(step, scalars.get("loss/total", math.nan))
        self._writer.write_scalars(step, scalars)
        warnings = self._method.warnings(step, scalars)
        for kind in warnings.keys() - self._warned:  # once, until it has gone and comes back
            logger.warning("step %d: %s", step, warnings[kind])
        self._warned = set(warnings)

    def _evaluate(self, state: TrainState, step: int) -> dict[str, float]:
        config = self._config.eval
        variables = self._method.variables(state)
        scores, panels = self._validation(variables, protocols=(config.best,), count=config.count, panels=config.panels)
        self._writer.write_scalars(step, scores)
        self._writer.write_images(step, panels)
        self._writer.flush()
        named = ", ".join(f"{name.removeprefix('eval/')} {value:.3f}" for name, value in scores.items())
        logger.info("step %d: evaluation: %s", step, named)
        return {name.removeprefix("eval/"): value for name, value in scores.items()}
