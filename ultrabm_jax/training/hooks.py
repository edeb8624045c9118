"""What happens after each training step: read earlier metrics, log, save a checkpoint, evaluate."""

from __future__ import annotations

import math

from jax.sharding import Mesh
from ml_collections import ConfigDict

from input_pipeline import PairSource
from ultrabm_jax.errors import UserError
from ultrabm_jax.logging import logger
from ultrabm_jax.methods import Method
from ultrabm_jax.optim.state import TrainState
from ultrabm_jax.training.checkpoints import Checkpoints
from ultrabm_jax.training.distributed import broadcast_flag
from ultrabm_jax.training.meter import Meter
from ultrabm_jax.training.progress import Progress
from ultrabm_jax.training.validation import Validation
from ultrabm_jax.training.writers import Writer
from ultrabm_jax.typing import Metrics


class StepHooks:
    """Holds the state of logging and evaluation between steps. Call `after_step` once per step, in order.

    Without `eval_source` nothing is evaluated.
    """

    def __init__(
        self,
        config: ConfigDict,
        method: Method,
        mesh: Mesh,
        checkpoints: Checkpoints,
        writer: Writer,
        progress: Progress,
        eval_source: PairSource | None,
        *,
        start: int,
    ) -> None:
        self._config, self._method = config, method
        self._checkpoints, self._writer, self._progress = checkpoints, writer, progress
        self._meter = Meter(max_nonfinite=config.train.max_nonfinite_steps, required=method.required_steps)
        self._validation = None if eval_source is None else Validation(method.task.restore, eval_source, mesh)
        self.step = self._start = start  # steps done
        self._warned: set[str] = set()

    def after_step(self, state: TrainState, metrics: Metrics, *, examples: int) -> None:
        """Logs, saves and evaluates as the config asks, given the new `state` and its step's metrics and batch size."""
        # Counting here instead of reading state.step keeps the host from waiting for the device.
        self.step += 1
        step, config, last = self.step, self._config, self.step == self._config.train.steps
        self._meter.add(step, metrics)
        self._progress.advance(examples)
        if step % config.log_every == 0 or last:
            self._log(step)
        evaluates = self._evaluation_due()
        if evaluates or step % config.checkpoint.every == 0:
            self._meter.flush()
            self._checkpoints.save(state)  # before the evaluation, which an unreadable image or a kill may end
            self._writer.flush()  # a bucket gets no line of the log earlier
            if evaluates:
                self._evaluate(state)
            self._progress.restart(step)

    def evaluate_resumed(self, state: TrainState) -> None:
        """Evaluates the state that a run resumes from, if its evaluation is due and was interrupted."""
        if not self._start or not self._evaluation_due():
            return
        if not broadcast_flag(bool(self._checkpoints.scores(self._start))):
            self._evaluate(state)
            self._progress.restart(self._start)

    def finish(self, state: TrainState) -> None:
        """Returns once the last state is on disk, whether or not it is that of the config's last step."""
        if self.step > self._start:
            self._meter.flush()
            self._checkpoints.finish(state)

    def exclude(self, seconds: float) -> None:
        """Leaves a time, spent on compiling, out of the images per second and the time left."""
        self._progress.exclude(seconds)

    def flush(self) -> None:
        """Reads the metrics of all steps so far; raises what `after_step` raises for them later."""
        self._meter.flush()

    def save_after_error(self, state: TrainState) -> None:
        """Saves the last finished step of a run that an error ends, unless this fails, too.

        With several processes, all must call it at the same step.
        """
        step = int(state.step)
        if step == self._start:
            return
        try:
            self._checkpoints.finish(state)
        except UserError as error:
            logger.warning("%s", error)
        else:
            logger.info("stopped by an error; step %d is saved, and the same command continues from it", step)

    def _log(self, step: int) -> None:
        scalars = self._meter.averages()
        scalars["images_per_second"] = self._progress.report(step, scalars.get("loss/total", math.nan))
        self._writer.write_scalars(step, scalars)
        warnings = self._method.warnings(step, scalars)
        for kind in warnings.keys() - self._warned:  # each warning once, until its condition has cleared
            logger.warning("step %d: %s", step, warnings[kind])
        self._warned = set(warnings)

    def _evaluation_due(self) -> bool:
        every = self._config.eval.every
        if self._validation is None:
            return False
        return bool(every and self.step % every == 0) or self.step == self._config.train.steps

    def _evaluate(self, state: TrainState) -> None:
        """Scores the state, whose checkpoint is saved or being saved; the scores go to its checkpoint and the log."""
        config, step = self._config.eval, self.step
        assert self._validation is not None, "without validation images no evaluation is due"
        variables = self._method.variables(state)
        scores, panels = self._validation(variables, protocols=(config.best,), count=config.count, panels=config.panels)
        named = {name.removeprefix("eval/"): value for name, value in scores.items()}
        self._checkpoints.add_scores(step, named)
        self._writer.write_scalars(step, scores)
        self._writer.write_images(step, panels)
        self._writer.flush()
        text = ", ".join(f"{name} {value:.3f}" for name, value in named.items())
        logger.info("step %d: evaluation: %s", step, text)
