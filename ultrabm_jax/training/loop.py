"""The training loop: one jitted, donated SPMD step over a mesh, for any method.

A run is a function of its config: the step's randomness is fold_in(key, step), the example's is (seed, step, slot),
so a run that was killed goes on from its last checkpoint as if nothing had happened.

Order of one turn: take the batch of step n, make step n + 1 (or leave it out if it is not finite), read earlier
metrics, log, evaluate the new state, save it.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from ml_collections import ConfigDict

from ultrabm_jax.errors import UserError
from ultrabm_jax.methods import Method, create_method
from ultrabm_jax.methods.base import TrainStep
from ultrabm_jax.metrics import METRICS
from ultrabm_jax.training.checkpoints import Checkpoints
from ultrabm_jax.training.feed import Feed, Prepare, as_it_is, open_feed, to_float
from ultrabm_jax.training.guard import keep_if_finite
from ultrabm_jax.training.lock import hold_workdir
from ultrabm_jax.training.preemption import Preemption
from ultrabm_jax.training.progress import Progress
from ultrabm_jax.training.schedules import Stage, check_divisible, progressive_stages
from ultrabm_jax.training.sharding import (
    batch_devices,
    batch_sharding,
    check_patch,
    make_mesh,
    replicated,
    state_shardings,
)
from ultrabm_jax.training.state import TrainState
from ultrabm_jax.training.turn import Turn
from ultrabm_jax.training.workdir import check_config, save_frozen, write_config
from ultrabm_jax.training.writers import open_writer


def train_and_evaluate(config: ConfigDict, workdir: str | Path) -> TrainState:
    """Trains to config.train.steps and gives back the final state; goes on where an earlier run in `workdir` stopped.

    SIGTERM ends it earlier, with a checkpoint of the last step. Raises UserError for whatever a person can mend: data,
    config, a workdir that holds another model or on which another run is at work, a loss that is not finite, a full
    disk.
    """
    workdir = Path(workdir).absolute()
    mesh = make_mesh(config.mesh)
    stages = _stages(config, mesh)
    method = create_method(config)
    train_source, eval_source = _open_sources(config, stages)
    with contextlib.ExitStack() as closing:
        preemption = closing.enter_context(Preemption())
        unlocked = closing.enter_context(hold_workdir(workdir)) if jax.process_index() == 0 else None
        check_config(workdir, config)
        checkpoints = _open_checkpoints(config, workdir)
        closing.callback(checkpoints.close)
        state, shardings = born_sharded(method, config, stages[0], mesh)
        resumed, state = checkpoints.resume(state)
        # Not before: a start that fails must not change what the workdir says of its checkpoints.
        write_config(workdir, config)
        save_frozen(workdir, state.frozen)
        start = int(state.step)
        writer, note = open_writer(workdir, main_process=jax.process_index() == 0, after=start)
        closing.callback(writer.close)
        progress = Progress(start=start, total=config.train.steps, silent=jax.process_index() > 0)
        closing.callback(progress.close)
        feed = open_feed(config, train_source, mesh)
        progress.say(_describe(config, mesh, state, resumed, (unlocked, note, feed.note)))

        run = Turn(config, method, mesh, checkpoints, writer, progress, eval_source, start=start)
        key = jax.random.key(config.seed)
        programs = list(_programs(stages, method.phases(state)))
        for stage, step_function, fed in _steps(feed, programs, mesh, shardings, start=start):
            if preemption.asked(run.step):
                break
            state, metrics = step_function(state, fed, key)
            run.after_step(state, metrics, examples=stage.batch_size)
        run.finish(state)
    return state


def born_sharded(method: Method, config: ConfigDict, stage: Stage, mesh: Mesh) -> tuple[TrainState, Any]:
    """Initial state, each device making only its part, and the shardings of its leaves."""
    key = jax.random.key(config.seed)
    low = jnp.zeros((1, stage.patch_size, stage.patch_size, 3))
    shardings = state_shardings(jax.eval_shape(method.init, key, low), mesh)
    state = jax.jit(method.init, out_shardings=shardings)(key, low)
    frozen = method.frozen(key)
    frozen_shardings = state_shardings(frozen, mesh)
    return (
        state.replace(frozen=jax.device_put(frozen, frozen_shardings)),
        shardings.replace(frozen=frozen_shardings),
    )


def compile_step(train_step: TrainStep, mesh: Mesh, shardings: Any, prepare: Prepare = as_it_is) -> Any:
    """The jitted step (state, what the feed gives, key) -> (state, metrics)."""

    def step(state: TrainState, fed: Any, key: jax.Array) -> tuple[TrainState, dict[str, jax.Array]]:
        batch = to_float(prepare(fed, state.step))
        batch = {
            name: jax.lax.with_sharding_constraint(value, batch_sharding(mesh, value.ndim))
            for name, value in batch.items()
        }
        after, metrics = train_step(state, batch, key)
        return keep_if_finite(state, after, metrics), metrics

    return jax.jit(
        step,
        in_shardings=(shardings, None, replicated(mesh)),  # None: as the feed has placed it
        out_shardings=(shardings, replicated(mesh)),
        donate_argnums=0,
    )


def _stages(config: ConfigDict, mesh: Mesh) -> list[Stage]:
    for name, every in (("log_every", config.log_every), ("checkpoint.every", config.checkpoint.every)):
        if every < 1:
            raise UserError(f"{name} is {every}; it must be at least 1 step")
    data = config.data

    def make(batch_size: int) -> list[Stage]:
        shares, steps = config.train.stages, config.train.steps
        return progressive_stages(shares, steps=steps, batch_size=batch_size, patch_size=data.patch_size)

    check_divisible(make, batch_size=data.batch_size, devices=batch_devices(mesh))
    stages = make(data.batch_size)
    for stage in stages:
        check_patch(stage.patch_size, mesh)
    return stages


def _open_checkpoints(config: ConfigDict, workdir: Path) -> Checkpoints:
    best = config.eval.best
    higher_is_better = METRICS[best].higher_is_better
    saving = config.checkpoint
    return Checkpoints(
        workdir, metric=best, higher_is_better=higher_is_better, keep=saving.keep, max_failed=saving.max_failed
    )


def _open_sources(config: ConfigDict, stages: list[Stage]) -> tuple[Any, Any]:
    from input_pipeline import open_source
    from input_pipeline.source import require_patch

    if config.eval.best not in METRICS:
        raise UserError(f"unknown eval.best {config.eval.best!r}; known: {', '.join(METRICS)}")
    train, held_out = (open_source(config.data, scale=config.model.scale, split=split) for split in ("train", "eval"))
    require_patch(train, max(stage.patch_size for stage in stages))
    return train, held_out


def _programs(stages: list[Stage], phases: dict[int, TrainStep]) -> Iterator[tuple[Stage, TrainStep]]:
    """The stages, cut where the method's step changes."""
    for stage in stages:
        for first, after in pairwise([*sorted(phases), stage.stop]):
            part = dataclasses.replace(stage, start=max(stage.start, first), stop=min(stage.stop, after))
            if part.start < part.stop:
                yield part, phases[first]


def _steps(
    feed: Feed, programs: list[tuple[Stage, TrainStep]], mesh: Mesh, shardings: Any, *, start: int
) -> Iterator[tuple[Stage, Any, Any]]:
    """What each step from `start` on runs, and on what; compiled anew for each stage and phase."""
    for stage, train_step in programs:
        if stage.stop <= start:
            continue
        sizes = {"batch_size": stage.batch_size, "patch_size": stage.patch_size}
        step_function = compile_step(train_step, mesh, shardings, feed.prepare(**sizes))
        for fed in feed.batches(start_step=max(start, stage.start), stop_step=stage.stop, **sizes):
            yield stage, step_function, fed


def _describe(
    config: ConfigDict, mesh: Mesh, state: TrainState, resumed: int | None, notes: tuple[str | None, ...]
) -> str:
    count = sum(leaf.size for leaf in jax.tree.leaves(state.params))
    begin = "starting at step 0" if resumed is None else f"resuming from checkpoint {resumed}"
    axes = " x ".join(f"{axis} {size}" for axis, size in mesh.shape.items())
    lines = [
        f"{config.model.name} x{config.model.scale} {config.model.variant}: {count:,} trained parameters, "
        f"{mesh.size} {jax.devices()[0].platform} device(s) ({axes}); {begin} of {config.train.steps}"
    ]
    return "\n".join(lines + [f"note: {note}" for note in notes if note])
