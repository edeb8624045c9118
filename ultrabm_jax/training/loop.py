"""The training loop: one jitted, donated SPMD step over a mesh, for any method.

A run is a function of its config: the step's randomness is fold_in(key, step), the example's is (seed, step, slot),
so a run that was killed goes on from its last checkpoint as if nothing had happened.

Several processes (distributed.py) run this same loop on parts of the batch; the first one writes.

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
import numpy as np
from jax.sharding import Mesh, NamedSharding
from ml_collections import ConfigDict

from ultrabm_jax.deprecation import rename_fields
from ultrabm_jax.errors import UserError
from ultrabm_jax.logging import logger
from ultrabm_jax.methods import Method, create_method
from ultrabm_jax.methods.base import TrainStep
from ultrabm_jax.metrics import METRICS
from ultrabm_jax.optim.state import TrainState
from ultrabm_jax.stages import Stage, check_divisible, progressive_stages
from ultrabm_jax.training.checkpoints import Checkpoints
from ultrabm_jax.training.distributed import log_on_main_process, on_main_process, sync_processes
from ultrabm_jax.training.feed import Feed, Prepare, identity, open_feed, to_float
from ultrabm_jax.training.guard import keep_if_finite
from ultrabm_jax.training.hooks import StepHooks
from ultrabm_jax.training.lock import hold_workdir
from ultrabm_jax.training.meter import NonFiniteError
from ultrabm_jax.training.preemption import Preemption
from ultrabm_jax.training.progress import Progress
from ultrabm_jax.training.rollback import add_rollback, check_on_nonfinite, read_rollbacks, with_reduced_rate
from ultrabm_jax.training.sharding import (
    batch_devices,
    batch_sharding,
    check_patch,
    gather_used,
    make_mesh,
    replicated,
    state_shardings,
)
from ultrabm_jax.training.workdir import check_config, save_frozen, write_config
from ultrabm_jax.training.writers import open_writer


def train_and_evaluate(config: ConfigDict, workdir: str | Path) -> TrainState:
    """Trains to config.train.steps and gives back the final state; goes on where an earlier run in `workdir` stopped.

    SIGTERM ends it earlier, with a checkpoint of the last step. Raises UserError for what the user can fix: data,
    config, a workdir that holds another model or on which another run is at work, a loss that is not finite, a full
    disk.
    """
    workdir = Path(workdir).absolute()
    rename_fields(config)
    check_on_nonfinite(config.train)
    with log_on_main_process():
        return _train_with_rollbacks(config, workdir)


def _train_with_rollbacks(config: ConfigDict, workdir: Path) -> TrainState:
    while True:
        try:
            return _train(config, workdir)
        except NonFiniteError as error:
            rollbacks = len(read_rollbacks(workdir))
            if config.train.on_nonfinite == "stop" or rollbacks == config.train.max_rollbacks:
                raise
            _roll_back(config, workdir, error.first)
            logger.warning(
                "%s; rollback %d of %d, with a smaller learning rate", error, rollbacks + 1, config.train.max_rollbacks
            )


def _train(config: ConfigDict, workdir: Path) -> TrainState:
    """One attempt of `train_and_evaluate`."""
    sync_processes()
    mesh = make_mesh(config.mesh)
    stages = _stages(config, mesh)
    method = create_method(with_reduced_rate(config, len(read_rollbacks(workdir))))
    train_source, eval_source = _open_sources(config, stages)
    with contextlib.ExitStack() as closing:
        preemption = closing.enter_context(Preemption())
        unlocked = on_main_process(lambda: closing.enter_context(hold_workdir(workdir)))
        check_config(workdir, config)
        checkpoints = _open_checkpoints(config, workdir)
        closing.callback(checkpoints.close)
        state, shardings = init_sharded_state(method, config, stages[0], mesh)
        resumed, state = checkpoints.resume(state)
        # Not before: a start that fails must not change what the workdir says of its checkpoints.
        write_config(workdir, config)
        save_frozen(workdir, state.frozen)
        start = int(state.step)
        writer, note = open_writer(workdir, main_process=jax.process_index() == 0, after=start)
        closing.callback(writer.close)
        progress = Progress(start=start, total=config.train.steps)
        closing.callback(progress.close)
        feed = open_feed(config, train_source, mesh)
        logger.info(_describe(config, mesh, state, resumed))
        for line in filter(None, (unlocked, note, feed.note)):
            logger.info("note: %s", line)

        run = StepHooks(config, method, mesh, checkpoints, writer, progress, eval_source, start=start)
        key = jax.jit(lambda: jax.random.key(config.seed), out_shardings=replicated(mesh))()
        programs = list(_programs(stages, method.phases(state)))
        for stage, step_function, fed in _steps(feed, programs, mesh, shardings, start=start):
            if preemption.asked(run.step):
                break
            state, metrics = step_function(state, fed, key)
            run.after_step(state, metrics, examples=stage.batch_size)
        run.finish(state)
    return state


def _roll_back(config: ConfigDict, workdir: Path, first_bad: int) -> None:
    """Sets aside the checkpoints from step `first_bad` on, then records the rollback."""
    checkpoints = _open_checkpoints(config, workdir)
    checkpoints.set_aside_from(first_bad)
    checkpoints.close()
    add_rollback(workdir, first_bad)
    sync_processes()


def init_sharded_state(method: Method, config: ConfigDict, stage: Stage, mesh: Mesh) -> tuple[TrainState, Any]:
    """Initial state, each device making only its part, and the shardings of its leaves."""

    def init() -> TrainState:  # without arguments: they would have to lie on the devices of all processes
        return method.init(jax.random.key(config.seed), method.task.example_input(stage.patch_size))

    small = config.mesh.min_sharded_size
    shardings = state_shardings(jax.eval_shape(init), mesh, small=small)
    # Runs once. On a CPU the best program takes minutes to compile (jax 0.12), a plain one half a minute.
    plain = {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else None
    state = jax.jit(init, out_shardings=shardings, compiler_options=plain)()
    frozen = method.frozen(jax.random.key(config.seed))
    frozen_shardings = state_shardings({"frozen": frozen}, mesh, small=small)["frozen"]
    return (
        state.replace(frozen=jax.tree.map(_spread, frozen, frozen_shardings)),
        shardings.replace(frozen=frozen_shardings),
    )


def _spread(value: Any, sharding: NamedSharding) -> jax.Array:
    """An array that every process has, over the devices of all."""
    held = np.asarray(value)
    return jax.make_array_from_callback(held.shape, sharding, lambda index: held[index])


def compile_step(train_step: TrainStep, mesh: Mesh, shardings: Any, prepare: Prepare = identity) -> Any:
    """The jitted step (state, what the feed gives, key) -> (state, metrics)."""

    def step(state: TrainState, fed: Any, key: jax.Array) -> tuple[TrainState, dict[str, jax.Array]]:
        batch = to_float(prepare(fed, state.step))
        batch = {
            name: jax.lax.with_sharding_constraint(value, batch_sharding(mesh, value.ndim))
            for name, value in batch.items()
        }
        after, metrics = train_step(gather_used(state, mesh), batch, key)
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

    parts = config.train.accumulate
    if parts < 1:
        raise UserError(f"train.accumulate is {parts}; it must be at least 1 part")
    check_divisible(make, batch_size=data.batch_size, devices=batch_devices(mesh), parts=parts)
    stages = make(data.batch_size)
    for stage in stages:
        check_patch(stage.patch_size, mesh)
    return stages


def _open_checkpoints(config: ConfigDict, workdir: Path) -> Checkpoints:
    best = config.eval.best
    higher_is_better = METRICS[best].higher_is_better
    saving = config.checkpoint
    return Checkpoints(
        workdir,
        metric=best,
        higher_is_better=higher_is_better,
        keep=saving.keep,
        max_failed=saving.max_failed,
    )


def _open_sources(config: ConfigDict, stages: list[Stage]) -> tuple[Any, Any]:
    from input_pipeline import open_source
    from input_pipeline.sources.base import require_patch

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
        step_function = _compile_and_sync(compile_step(train_step, mesh, shardings, feed.prepare(**sizes)))
        for fed in feed.batches(start_step=max(start, stage.start), stop_step=stage.stop, **sizes):
            yield stage, step_function, fed


def _compile_and_sync(step: Any) -> Any:
    """`step`, whose first call in one of several processes waits for the others, which may compile for longer."""
    compiled: list[Any] = []

    def call(*arguments: Any) -> Any:
        if not compiled:
            compiled.append(step.lower(*arguments).compile())
            sync_processes()
        return compiled[0](*arguments)

    return step if jax.process_count() == 1 else call


def _describe(config: ConfigDict, mesh: Mesh, state: TrainState, resumed: int | None) -> str:
    count = sum(leaf.size for leaf in jax.tree.leaves(state.params))
    begin = "starting at step 0" if resumed is None else f"resuming from checkpoint {resumed}"
    axes = " x ".join(f"{axis} {size}" for axis, size in mesh.shape.items())
    axes += f"; {jax.process_count()} processes" if jax.process_count() > 1 else ""
    variant = config.model.get("variant")  # not every model has variants
    name = f"{config.model.name} x{config.model.scale}" + (f" {variant}" if variant else "")
    return (
        f"{name}: {count:,} trained parameters, "
        f"{mesh.size} {jax.devices()[0].platform} device(s) ({axes}); {begin} of {config.train.steps}"
    )
