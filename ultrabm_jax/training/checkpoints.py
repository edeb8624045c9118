"""Checkpoints of a run, written by Orbax in the background; the newest few and the best are kept.

A checkpoint gets its final name (in a bucket: an object that marks it) only once it is complete, so a killed run leaves
none that is incomplete. The next step donates the state but cannot corrupt a save in progress: Orbax holds a reference
(CPU) or has copied it to the host. Checksums are written with it, for checkpoint_reader.py.

A failed save, usually caused by a full disk, is logged and retried at the next interval; several in a row end the run.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Mapping
from pathlib import Path

import jax
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils
from orbax.checkpoint.checkpoint_managers import preservation_policy

from ultrabm_jax.buckets import AnyPath, move_folder
from ultrabm_jax.errors import UserError, first_line
from ultrabm_jax.logging import logger
from ultrabm_jax.optim.state import TrainState
from ultrabm_jax.training.checkpoint_reader import CheckpointReader, Damaged
from ultrabm_jax.training.checksums import write_checksums
from ultrabm_jax.training.evaluation_set import EvaluationSet
from ultrabm_jax.training.scores import as_record, remove_damaged_scores, write_scores


class Checkpoints(CheckpointReader):
    """Reads and writes the checkpoints of the run in `workdir`: the newest `keep` and the best one by `metric`.

    `evaluated` is recorded beside the scores that are added; `void_scores` removes those of other evaluation sets.
    `max_failed` saves in a row that fail raise UserError; earlier failures log a warning.
    """

    def __init__(
        self,
        workdir: AnyPath,
        *,
        metric: str,
        higher_is_better: bool = True,
        keep: int = 2,
        max_failed: int = 3,
        evaluated: EvaluationSet | None = None,
    ) -> None:
        self._keep, self._max_failed, self._evaluated = keep, max_failed, evaluated
        self._writing: int | None = None  # the step whose save may still be in progress
        self._scores: dict[str, float] = {}  # of the latest save
        self._failed = 0  # consecutive failed saves
        if jax.process_index() == 0:
            remove_damaged_scores(workdir / "checkpoints")
        multihost_utils.sync_global_devices("scores of checkpoints")
        super().__init__(workdir, metric=metric, higher_is_better=higher_is_better)

    def save(self, state: TrainState, *, metrics: Mapping[str, float] | None = None) -> None:
        """Starts a save in the background, unless the step is saved already."""
        self.wait()
        step = int(state.step)
        if step in self._manager.all_steps():
            return
        self._writing, self._scores = step, dict(metrics or {})
        try:
            record = as_record(self._scores, self._evaluated)
            self._manager.save(step, args=ocp.args.StandardSave(state.saved()), metrics=record, force=True)
        except Exception as error:  # Orbax, TensorStore and the system raise unrelated types
            self._save_failed(error)

    def finish(self, state: TrainState) -> None:
        """Returns once `state` is on disk, saving it again if necessary. Raises UserError if that fails."""
        self.wait()
        step = int(state.step)
        if step in self._manager.all_steps():
            return
        self.save(state, metrics=self._scores)
        self.wait()
        if step not in self._manager.all_steps():
            raise UserError(f"checkpoint {self._folder / str(step)} could not be written; {self._newest()}")

    def add_scores(self, step: int, metrics: Mapping[str, float]) -> None:
        """Gives the scores to the newest checkpoint, that of `step`, and deletes the one that it replaces as the best.

        If its save has failed, the scores are those of the next attempt.
        """
        self.wait()
        self._scores = dict(metrics)
        if step not in self._manager.all_steps():
            return
        if jax.process_index() == 0:
            write_scores(self._folder / str(step), as_record(self._scores, self._evaluated))
        multihost_utils.sync_global_devices(f"scores of checkpoint {step}")
        self._manager.reload()
        kept = {*self.steps()[: self._keep], self.best_step()}
        for superseded in [other for other in self.steps() if other not in kept]:
            self._manager.delete(superseded)

    def void_scores(self, unrecorded: EvaluationSet | None) -> EvaluationSet | None:
        """Removes the scores of other evaluation sets than `evaluated`; returns the newest such set, or None.

        `unrecorded` is the set of scores without a record of it, from an earlier release.
        """
        sets = {step: self.evaluation_set(step) or unrecorded for step in self.steps() if self.scores(step)}
        void = {step: known for step, known in sets.items() if not _matches(known, self._evaluated)}
        if not void:
            return None
        if jax.process_index() == 0:
            for step in void:
                write_scores(self._folder / str(step), {})
        multihost_utils.sync_global_devices("scores of other evaluation sets")
        self._manager.reload()
        return next(iter(void.values()))

    def resume(self, like: TrainState) -> tuple[int | None, TrainState]:
        """(step, state) of the newest readable checkpoint, or (None, `like`) if nothing was saved.

        Moves newer, damaged checkpoints to workdir/damaged.
        """
        steps = self.steps()
        if not steps:
            return None, like
        try:
            step, state, found = self.restore_first(steps, like)
        except Damaged as error:
            raise UserError(f"{error}; move {self._folder} away to start from step 0") from error
        for damaged, reason in zip(steps, found, strict=False):
            self._set_aside(damaged)
            logger.warning("%s; moved to %s, resuming from checkpoint %d", reason, self._workdir / "damaged", step)
        return step, state

    def set_aside_from(self, step: int) -> None:
        """Moves the checkpoints of `step` and later to workdir/damaged."""
        for later in [s for s in self.steps() if s >= step]:
            self._set_aside(later)

    def wait(self) -> None:
        """Waits until the pending save has succeeded or its failure has been logged."""
        if self._writing is None:
            return
        try:
            self._manager.wait_until_finished()
        except Exception as error:  # as in `save`
            self._save_failed(error)
        else:
            self._writing, self._failed = None, 0

    def close(self) -> None:
        """Waits for the pending save and stops the background threads."""
        try:
            self.wait()
        finally:
            self._manager.close()

    def _open(self) -> ocp.CheckpointManager:
        best = preservation_policy.BestN(get_metric_fn=self._score, reverse=not self._higher_is_better, n=1)
        policy = preservation_policy.AnyPreservationPolicy([preservation_policy.LatestN(self._keep), best])
        options = ocp.CheckpointManagerOptions(
            preservation_policy=policy,
            best_fn=self._score,  # without it Orbax does not write the scores
            create=True,
            cleanup_tmp_directories=True,
            async_options=ocp.AsyncOptions(post_finalization_callback=self._add_checksums),
        )
        return self._manage(options)

    def _add_checksums(self) -> None:
        """Called in Orbax's thread once all files are written, before the folder gets its final name."""
        if jax.process_index() == 0 and isinstance(self._folder, Path):
            (unfinished,) = self._folder.glob(f"{self._writing}.orbax-checkpoint-tmp*")
            write_checksums(unfinished)

    def _save_failed(self, error: Exception) -> None:
        """Logs the failure and removes incomplete files. Raises UserError after `max_failed` consecutive failures."""
        step, self._writing, self._failed = self._writing, None, self._failed + 1
        with contextlib.suppress(Exception):  # it may raise the same failure again
            self._manager.close()
        self._manager = self._open()
        failure = f"checkpoint {self._folder / str(step)} could not be written ({_reason(error)})"
        if self._failed >= self._max_failed:
            raise UserError(f"{failure}, nor the {self._failed - 1} before it; {self._newest()}") from error
        logger.warning("%s; training continues and retries at the next interval", failure)

    def _newest(self) -> str:
        newest = self.latest_step()
        return "there is none" if newest is None else f"the newest is checkpoint {newest}"

    def _set_aside(self, step: int) -> None:
        """Moves a checkpoint to workdir/damaged, so that the run can save this step again."""
        if jax.process_index() == 0:
            folder = self._workdir / "damaged"
            folder.mkdir(exist_ok=True)
            names = (folder / f"{step}{suffix}" for suffix in ("", *(f".{k}" for k in range(1, 1000))))
            target = next(name for name in names if not name.exists())
            move_folder(self._folder / str(step), target)
        multihost_utils.sync_global_devices(f"set aside checkpoint {step}")
        self._manager.reload()


def _matches(recorded: EvaluationSet | None, current: EvaluationSet | None) -> bool:
    return recorded is not None and current is not None and recorded.matches(current)


def _reason(error: Exception) -> str:
    """The first line of the message, or "No space left on device" if a later line contains it."""
    full = os.strerror(errno.ENOSPC)
    return full if full in str(error) else first_line(error)
