"""Reads the checkpoints of a run, and leaves their folder unchanged.

Checksums (checksums.py) detect files that have changed since they were written; then the caller can use the next
checkpoint of its list. In a bucket there are none: the store compares its objects with their checksums itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import jax
import orbax.checkpoint as ocp

from ultrabm_jax.buckets import AnyPath
from ultrabm_jax.errors import UserError, first_line
from ultrabm_jax.optim.state import TrainState
from ultrabm_jax.training.checksums import find_damage
from ultrabm_jax.training.distributed import broadcast_flag
from ultrabm_jax.training.evaluation_set import EvaluationSet
from ultrabm_jax.training.scores import read_evaluation_set, read_scores
from ultrabm_jax.training.tree_shapes import describe_mismatch
from ultrabm_jax.typing import Params, PyTree

T = TypeVar("T")


class Damaged(UserError):
    """The files of a checkpoint are not those that were written."""


class Misfit(UserError):
    """The arrays of a checkpoint are not those of the training state."""


class CheckpointReader:
    """The checkpoints in `workdir`/checkpoints and their scores; the best one is that with the best `metric`."""

    def __init__(self, workdir: AnyPath, *, metric: str, higher_is_better: bool = True) -> None:
        self._workdir, self._folder, self._metric = workdir, workdir / "checkpoints", metric
        self._higher_is_better = higher_is_better
        self._worst = -math.inf if higher_is_better else math.inf
        self._manager = self._open()

    def close(self) -> None:
        """Stops the background threads."""
        self._manager.close()

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

    def _open(self) -> ocp.CheckpointManager:
        # Orbax would read all scores on opening
        return self._manage(ocp.CheckpointManagerOptions(create=False, lightweight_initialize=True))

    def _manage(self, options: ocp.CheckpointManagerOptions) -> ocp.CheckpointManager:
        return ocp.CheckpointManager(self._folder, options=options, item_handlers=ocp.StandardCheckpointHandler())

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

    def _check_files(self, step: int) -> None:
        """Raises Damaged in all processes if the first one finds damage."""
        reason = find_damage(self._folder / str(step)) if jax.process_index() == 0 else None
        if broadcast_flag(reason is not None):
            reason = reason or "see the log of the first process"
        if reason is not None:
            raise self._damaged(step, reason)

    def _damaged(self, step: int, reason: str) -> Damaged:
        return Damaged(f"checkpoint {self._folder / str(step)} is damaged ({reason})")

    def _score(self, metrics: Mapping[str, float]) -> float:
        value = metrics.get(self._metric, self._worst)
        return value if not math.isnan(value) else self._worst
