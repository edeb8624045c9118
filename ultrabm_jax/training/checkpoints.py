"""Checkpoints of a run, by Orbax: written in the background, the newest few and the best kept.

A checkpoint is saved under its number only once it is whole, so a killed run leaves no half of one. What is being saved
is safe from the next step, which donates the state: Orbax holds on to it (a CPU) or has copied it to the host.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import preservation_policy

from ultrabm_jax.errors import UserError
from ultrabm_jax.training.state import TrainState
from ultrabm_jax.training.workdir import first_line

SHOWN = 3  # leaves named in an error


class Checkpoints:
    """The newest `keep` checkpoints and the best one by `metric`; `reading` touches nothing on disk."""

    def __init__(
        self, workdir: Path, *, metric: str, higher_is_better: bool = True, keep: int = 2, reading: bool = False
    ) -> None:
        self._folder, self._metric = workdir / "checkpoints", metric
        self._worst = -math.inf if higher_is_better else math.inf
        self._higher_is_better = higher_is_better
        best = preservation_policy.BestN(get_metric_fn=self._score, reverse=not higher_is_better, n=1)
        policy = preservation_policy.AnyPreservationPolicy([preservation_policy.LatestN(keep), best])
        options = ocp.CheckpointManagerOptions(
            preservation_policy=policy,
            best_fn=self._score,  # Orbax writes the scores to disk only if it is given
            create=not reading,
            cleanup_tmp_directories=not reading,
        )
        self._manager = ocp.CheckpointManager(
            self._folder, options=options, item_handlers=ocp.StandardCheckpointHandler()
        )

    def save(self, state: TrainState, *, metrics: Mapping[str, float] | None = None) -> None:
        """Starts writing in the background. A step that is already saved is left alone."""
        step = int(state.step)
        if step in self._manager.all_steps():
            return
        args = ocp.args.StandardSave(state.saved())
        self._manager.save(step, args=args, metrics=dict(metrics or {}), force=True)

    def latest_step(self) -> int | None:
        """The newest step; None if there is none."""
        return self._manager.latest_step()

    def best_step(self) -> int | None:
        """The step with the best metric; None if nothing was evaluated."""
        metrics = {step: self._manager.metrics(step) or {} for step in self._manager.all_steps()}
        scores = {step: self._score(values) for step, values in metrics.items() if self._metric in values}
        if not scores:
            return None
        # Of equals the newest, as what is kept.
        return max(scores, key=lambda step: (scores[step] if self._higher_is_better else -scores[step], step))

    def restore(self, step: int, like: TrainState) -> TrainState:
        """The saved state in the shapes and shardings of `like` (abstract or real), with the frozen part of `like`.

        Raises UserError if there is no such checkpoint, if it is of another model, or if it is damaged.
        """
        steps = self._manager.all_steps()
        if step not in steps:
            raise UserError(f"{self._folder} has no checkpoint {step}; it has {', '.join(map(str, steps)) or 'none'}")
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, like.saved())
        try:
            saved = self._manager.item_metadata(step)
            if saved is None:
                raise FileNotFoundError("the list of its arrays is missing")
            misfits = _misfits(saved.tree, abstract)
            if not misfits:
                return self._manager.restore(step, args=ocp.args.StandardRestore(abstract)).replace(frozen=like.frozen)
        except (ValueError, OSError, KeyError) as error:  # Orbax has no error of its own
            raise UserError(self._damaged(step, first_line(error))) from error
        rest = f" and {len(misfits) - SHOWN} more" if len(misfits) > SHOWN else ""
        raise UserError(f"{self._folder / str(step)} does not fit this model: {'; '.join(misfits[:SHOWN])}{rest}")

    def wait(self) -> None:
        """Returns when everything is on disk."""
        self._manager.wait_until_finished()

    def close(self) -> None:
        """Waits, and ends the background threads."""
        self._manager.close()

    def _score(self, metrics: Any) -> float:
        value = metrics.get(self._metric, self._worst)
        return value if not math.isnan(value) else self._worst

    def _damaged(self, step: int, reason: str) -> str:
        earlier = [other for other in self._manager.all_steps() if other < step]
        go_on = f"go on from checkpoint {max(earlier)}" if earlier else "start again"
        return f"checkpoint {self._folder / str(step)} is damaged ({reason}); delete that folder to {go_on}"


def _misfits(saved: Any, wanted: Any) -> list[str]:
    """How the shapes of two trees differ, leaf by leaf."""
    there, here = _shapes(saved), _shapes(wanted)
    different = [name for name in sorted({*there, *here}) if there.get(name) != here.get(name)]
    return [f"{name} is {there.get(name, 'missing')} there, {here.get(name, 'missing')} here" for name in different]


def _shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): tuple(leaf.shape) for path, leaf in leaves}
