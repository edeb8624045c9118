"""Checkpoints of a run, written by Orbax in the background; the newest few and the best are kept.

A checkpoint gets its final name (in a bucket: an object that marks it) only once it is complete, so a killed run leaves
none that is incomplete. The next step donates the state but cannot corrupt a save in progress: Orbax holds a reference
(CPU) or has copied it to the host. Checksums (checksums.py) detect files that have changed since; then the previous
checkpoint is used. In a bucket there are none: the store compares its objects with their checksums itself.

A failed save, usually caused by a full disk, is logged and retried at the next interval; several in a row end the run.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import jax
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils
from orbax.checkpoint.checkpoint_managers import preservation_policy

from ultrabm_jax.buckets import AnyPath, move_folder
from ultrabm_jax.errors import UserError, first_line
from ultrabm_jax.logging import logger
from ultrabm_jax.optim.state import TrainState
from ultrabm_jax.training.checksums import find_damage, write_checksums
from ultrabm_jax.training.distributed import broadcast_flag
from ultrabm_jax.training.evaluation_set import EvaluationSet
from ultrabm_jax.training.scores import (
    as_record,
    read_evaluation_set,
    read_scores,
    remove_damaged_scores,
    write_scores,
)
from ultrabm_jax.training.tree_shapes import describe_mismatch
from ultrabm_jax.typing import Params, PyTree

T = TypeVar("T")


class Damaged(UserError):
    """The files of a checkpoint are not those that were written."""


class Misfit(UserError):
    """The arrays of a checkpoint are not those of the training state."""


class Checkpoints:
    """The newest `keep` checkpoints and the best one by `metric`; with `reading`, the folder is left unchanged.

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
        reading: bool = False,
        max_failed: int = 3,
        evaluated: EvaluationSet | None = None,
    ) -> None:
        self._workdir, self._folder, self._metric = workdir, workdir / "checkpoints", metric
        self._higher_is_better, self._keep, self._reading = higher_is_better, keep, reading
        self._worst = -math.inf if higher_is_better else math.inf
        self._max_failed, self._evaluated = max_failed, evaluated
        self._writing: int | None = None  # the step whose save may still be in progress
        self._scores: dict[str, float] = {}  # of the latest save
        self._failed = 0  # consecutive failed saves
        if not reading:
            if jax.process_index() == 0:
                remove_damaged_scores(self._folder)
            multihost_utils.sync_global_devices("scores of checkpoints")
        self._manager = self._open()

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

    def evaluation_set(self, step: int) -> EvaluationSet | None:
        """The evaluation set of the scores of a checkpoint; None if it is not recorded."""
        return read_evaluation_set(self._folder / str(step))

    def scores(self, step: int) -> dict[str, float]:
        """The scores of a checkpoint; empty if it was not evaluated or its scores cannot be read."""
        return read_scores(self._folder / str(step))

    def steps(self, *, best: bool = False) -> list[int]:
        """The saved steps, newest first; with `best`, the evaluated ones, best first."""
        steps = sorted(self._manager.all_steps(), reverse=True)
        if not best:
            return steps
        scores = {step: self._score(values) for step in steps if self._metric in (values := self.scores(step))}
        # Ties: the newest first, as for the checkpoint that is kept.
        return sorted(scores, key=lambda step: (scores[step] if self._higher_is_better else -scores[step], step))[::-1]

    def latest_step(self) -> int | None:
        """The newest saved step, or None."""
        return next(iter(self.steps()), None)

    def best_step(self) -> int | None:
        """The saved step with the best metric, or None if none was evaluated."""
        return next(iter(self.steps(best=True)), None)

    def restore(self, step: int, like: TrainState) -> TrainState:
        """The saved state in the shapes and shardings of `like` (abstract or real), with the frozen part of `like`.

        Raises UserError if the checkpoint does not exist, Misfit if it belongs to another model or optimiser, Damaged
        if it is damaged.
        """
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, like.saved())
        state: TrainState = self._read(
            step,
            lambda saved: (saved, abstract),
            lambda wanted: self._manager.restore(step, args=ocp.args.StandardRestore(wanted)),
        )
        return state.replace(frozen=like.frozen)

    def restore_params(self, steps: Sequence[int], like: Params) -> tuple[int, Params, list[Damaged]]:
        """As `restore_first`, for the parameters alone: the moving average where the run has one.

        `like` gives their shapes and shardings. Nothing else is read.
        """
        return self._first_readable(steps, lambda step: self._read_params(step, like))

    def restore_first(self, steps: Sequence[int], like: TrainState) -> tuple[int, TrainState, list[Damaged]]:
        """The first of `steps` that is not damaged: (step, state, errors of the steps before it).

        Raises Damaged if all are damaged.
        """
        return self._first_readable(steps, lambda step: self.restore(step, like))

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

    def _first_readable(self, steps: Sequence[int], read: Callable[[int], T]) -> tuple[int, T, list[Damaged]]:
        found: list[Damaged] = []
        for step in steps:
            try:
                return step, read(step), found
            except Damaged as error:
                found.append(error)
        raise Damaged("; ".join(map(str, found)))

    def _read_params(self, step: int, like: Params) -> Params:
        def select(saved: PyTree) -> tuple[PyTree, PyTree]:
            name = "params" if saved["ema"] is None else "ema"
            return {name: saved[name]}, {name: like}

        def read(wanted: PyTree) -> PyTree:
            restore_args = ocp.checkpoint_utils.construct_restore_args(wanted)
            args = ocp.args.PyTreeRestore(wanted, restore_args=restore_args, partial_restore=True)
            with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as checkpointer:
                return checkpointer.restore(self._folder / str(step) / "default", args=args)

        (params,) = self._read(step, select, read).values()
        return params

    def _read(
        self, step: int, select: Callable[[PyTree], tuple[PyTree, PyTree]], read: Callable[[PyTree], PyTree]
    ) -> PyTree:
        """Reads a part of a checkpoint; errors as `restore`.

        `select` maps the saved tree to (its part, the tree wanted in its place), and `read` reads the wanted tree.
        """
        steps = sorted(self._manager.all_steps())
        if step not in steps:
            raise UserError(f"{self._folder} has no checkpoint {step}; it has {', '.join(map(str, steps)) or 'none'}")
        self._check_files(step)
        try:
            saved = self._manager.item_metadata(step)
            if saved is None:
                raise FileNotFoundError("the list of its arrays is missing")
            there, wanted = select(saved.tree)
            mismatch = describe_mismatch(there, wanted)
            if not mismatch:
                return read(wanted)
        except Exception as error:
            # Orbax has no exception type of its own; it even raises bare Exception.
            if not isinstance(error, (ValueError, OSError, KeyError)) and type(error) is not Exception:
                raise
            raise self._damaged(step, first_line(error)) from error
        raise Misfit(f"{self._folder / str(step)} does not fit this model: {mismatch}")

    def _open(self) -> ocp.CheckpointManager:
        if self._reading:  # Orbax would read all scores on opening
            return self._manage(ocp.CheckpointManagerOptions(create=False, lightweight_initialize=True))
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

    def _manage(self, options: ocp.CheckpointManagerOptions) -> ocp.CheckpointManager:
        return ocp.CheckpointManager(self._folder, options=options, item_handlers=ocp.StandardCheckpointHandler())

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

    def _check_files(self, step: int) -> None:
        """Raises Damaged in all processes if the first one finds damage."""
        reason = find_damage(self._folder / str(step)) if jax.process_index() == 0 else None
        if broadcast_flag(reason is not None):
            reason = reason or "see the log of the first process"
        if reason is not None:
            raise self._damaged(step, reason)

    def _damaged(self, step: int, reason: str) -> Damaged:
        return Damaged(f"checkpoint {self._folder / str(step)} is damaged ({reason})")

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

    def _score(self, metrics: Mapping[str, float]) -> float:
        value = metrics.get(self._metric, self._worst)
        return value if not math.isnan(value) else self._worst


def _matches(recorded: EvaluationSet | None, current: EvaluationSet | None) -> bool:
    return recorded is not None and current is not None and recorded.matches(current)


def _reason(error: Exception) -> str:
    """The first line of the message, or "No space left on device" if a later line contains it."""
    full = os.strerror(errno.ENOSPC)
    return full if full in str(error) else first_line(error)
