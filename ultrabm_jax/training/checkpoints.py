"""What a run leaves in its workdir, and how it is found again.

    config.json          the config of the run, and the versions it ran on
    checkpoints/STEP/    parameters, optimiser, moving average, step (Orbax, written in the background)
    frozen/              variables of the frozen extractor, once: a workdir needs no other file to restore pictures
    train.jsonl          scalars

The state of the data is the step: example n of a run is a function of the seed and n.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from ml_collections import ConfigDict
from orbax.checkpoint.checkpoint_managers import preservation_policy

from ultrabm_jax.errors import UserError
from ultrabm_jax.training.state import TrainState

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
# Fields of config.model that may change between runs over one workdir.
FREE_MODEL_FIELDS = ("dtype", "remat", "semantic_init")


class Checkpoints:
    """The newest `keep` checkpoints and the best one by `metric`."""

    def __init__(self, workdir: Path, *, keep: int = 2, metric: str = "", higher_is_better: bool = True) -> None:
        self._workdir, self._metric = workdir, metric
        policies = [preservation_policy.LatestN(keep)]
        if metric:
            best = preservation_policy.BestN(
                get_metric_fn=self._score, reverse=not higher_is_better, n=1, keep_checkpoints_without_metrics=False
            )
            policies.append(best)
        options = ocp.CheckpointManagerOptions(preservation_policy=preservation_policy.AnyPreservationPolicy(policies))
        self._manager = ocp.CheckpointManager(workdir / "checkpoints", options=options)
        self._higher_is_better = higher_is_better

    def save(self, state: TrainState, *, metrics: Mapping[str, float] | None = None) -> None:
        """Starts writing in the background. A step that is already saved is left alone."""
        step = int(state.step)
        if step in self._manager.all_steps():
            return
        args = ocp.args.StandardSave(state.saved())
        self._manager.save(step, args=args, metrics=None if metrics is None else dict(metrics), force=True)

    def latest_step(self) -> int | None:
        return self._manager.latest_step()

    def best_step(self) -> int | None:
        """The step with the best metric; None if nothing was evaluated."""
        scored = {s: self._manager.metrics(s) for s in self._manager.all_steps()}
        scored = {s: m[self._metric] for s, m in scored.items() if m and self._metric in m}
        if not scored:
            return None
        return (max if self._higher_is_better else min)(scored, key=lambda s: scored[s])

    def restore(self, step: int, like: TrainState) -> TrainState:
        """The saved state, in the shapes and shardings of `like` (abstract or real), with the frozen part of `like`."""
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, like.saved())
        try:
            saved = self._manager.restore(step, args=ocp.args.StandardRestore(abstract))
        except ValueError as error:
            first = str(error).strip().splitlines()[0]
            raise UserError(f"{self._workdir}: checkpoint {step} does not fit this model: {first}") from error
        return saved.replace(frozen=like.frozen)

    def wait(self) -> None:
        """Returns when everything is on disk."""
        self._manager.wait_until_finished()

    def close(self) -> None:
        self._manager.close()

    def _score(self, metrics: Any) -> float:
        return metrics[self._metric]


def write_config(workdir: Path, config: ConfigDict) -> None:
    """Writes config.json, or checks the one of an earlier run: one workdir holds one model."""
    path = workdir / "config.json"
    if path.exists():
        _check_same_model(path, config)
    content = {"config": json.loads(config.to_json_best_effort()), "versions": versions()}
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content, indent=2) + "\n")
    os.replace(temporary, path)


def read_config(workdir: Path) -> ConfigDict:
    """The config of the run in `workdir`. Raises UserError if there is none."""
    path = workdir / "config.json"
    if not path.is_file():
        raise UserError(f"{workdir} holds no run: config.json is missing; train one with train.py --workdir {workdir}")
    try:
        return ConfigDict(json.loads(path.read_text())["config"])
    except (ValueError, KeyError) as error:
        raise UserError(f"{path} is damaged: {error}") from error


def save_frozen(workdir: Path, frozen: Mapping[str, Any]) -> None:
    """Saves what the model needs of the frozen part, once."""
    if "model" in frozen and not (workdir / "frozen").exists():
        with ocp.StandardCheckpointer() as checkpointer:
            checkpointer.save(workdir / "frozen", frozen["model"])


def load_frozen(workdir: Path) -> Any | None:
    """The model's frozen variables, or None if it has none."""
    if not (workdir / "frozen").exists():
        return None
    with ocp.StandardCheckpointer() as checkpointer:
        return checkpointer.restore(workdir / "frozen")


def versions() -> dict[str, str]:
    """Versions of the packages that decide a result."""
    return {package: metadata.version(package) for package in PACKAGES}


def _check_same_model(path: Path, config: ConfigDict) -> None:
    ours = json.loads(config.to_json_best_effort())["model"]
    theirs = read_config(path.parent).model.to_dict()
    different = [f for f in sorted({*ours, *theirs} - {*FREE_MODEL_FIELDS}) if ours.get(f) != theirs.get(f)]
    if different:
        changes = ", ".join(f"model.{f} is {theirs.get(f)!r} there, {ours.get(f)!r} here" for f in different)
        raise UserError(f"{path.parent} holds another model's run: {changes}; use another --workdir")
