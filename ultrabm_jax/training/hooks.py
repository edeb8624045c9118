"""What happens after each training step: read earlier metrics, log, evaluate, save a checkpoint."""

from __future__ import annotations

import math

from jax.sharding import Mesh
from ml_collections import ConfigDict

from input_pipeline import PairSource
from ultrabm_jax.logging import logger
from ultrabm_jax.methods import Method
from ultrabm_jax.optim.state import TrainState
from ultrabm_jax.training.checkpoints import Checkpoints
from ultrabm_jax.training.meter import Meter
from ultrabm_jax.training.progress import Progress
from ultrabm_jax.training.validation import Validation
from ultrabm_jax.training.writers import Writer
from ultrabm_jax.typing import Metrics


class StepHooks:
    """Holds the state of logging and evaluation between steps. Call `after_step` once per step, in order."""

    def __init__(
        self,
        config: ConfigDict,
        method: Method,
        mesh: Mesh,
        checkpoints: Checkpoints,
        writer: Writer,
        progress: Progress,
        eval_source: PairSource,
        *,
        start: int,
    ) -> None:
        self._config, self._method = config, method
        self._checkpoints, self._writer, self._progress = checkpoints, writer, progress
        self._meter = Meter(max_nonfinite=config.train.max_nonfinite_steps, required=method.required_steps)
        self._validation = Validation(method.task.restore, eval_source, mesh)
        self.step = self._start = start  # steps done
        self._warned: set[str] = set()

    def after_step(self, state: TrainState, metrics: Metrics, *, examples: int) -> None:
        """Logs, evaluates and saves as the config asks, given the new `state` and its step's metrics and batch size."""
        # Counting here instead of reading state.step keeps the host from waiting for the device.
        self.step += 1
        step, config, last = self.step, self._config, self.step == self._config.train.steps
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
        """Returns once the last state is on disk, whether or not it is that of the config's last step."""
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
        for kind in warnings.keys() - self._warned:  # each warning once, until its condition has cleared
            logger.warning("step %d: %s", step, warnings[kind])
        self._warned = set(warnings)

    def _evaluate(self, state: TrainState, step: int) -> dict[str, float]:
        config = self._config.eval
        variables = self._method.variables(state)
        scores, panels = self._validation(variables, protocols=(config.best,), count=config.count, panels=config.panels)
        self._writer.write_scalars(step, scores)
        self._writer.write_images(step, panels)
        self._writer.flush()
        named = {name.removeprefix("eval/"): value for name, value in scores.items()}
        text = ", ".join(f"{name} {value:.3f}" for name, value in named.items())
        logger.info("step %d: evaluation: %s", step, text)
        return named
