"""The training loop: one jitted, donated SPMD step over a mesh, for any method.

A run is a function of its config: step n uses the key fold_in(key, n), and its examples use (seed, n, slot). A killed
run therefore resumes from its newest checkpoint with the same results as an uninterrupted one.

Several processes (distributed.py) run this loop together, each on its part of the batch; the first one writes.

Each iteration takes the batch of step n, runs step n + 1 (and skips it if it is not finite), reads the metrics of
earlier steps, logs, saves the new state and evaluates it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import jax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from input_pipeline import PairSource, open_source
from input_pipeline.sources.base import require_patch
from ultrabm_jax.buckets import AnyPath, absolute, open_path
from ultrabm_jax.config.values import check_tuples
from ultrabm_jax.deprecation import rename_fields
from ultrabm_jax.errors import UserError
from ultrabm_jax.logging import logger
from ultrabm_jax.methods import create_method
from ultrabm_jax.methods.base import TrainStep
from ultrabm_jax.metrics import METRICS
from ultrabm_jax.optim.state import TrainState
from ultrabm_jax.stages import Stage
from ultrabm_jax.training.checkpoint_reader import Misfit
from ultrabm_jax.training.checkpoints import Checkpoints
from ultrabm_jax.training.distributed import (
    COPY_TIMEOUT_S,
    broadcast_flag,
    log_on_main_process,
    on_main_process,
    sync_processes,
)
from ultrabm_jax.training.evaluation_set import EvaluationSet, unrecorded_evaluation_set
from ultrabm_jax.training.feed import Feed, open_feed
from ultrabm_jax.training.freed_memory import return_freed_memory
from ultrabm_jax.training.frozen import save_frozen
from ultrabm_jax.training.hooks import StepHooks
from ultrabm_jax.training.init_from import initialise
from ultrabm_jax.training.lock import hold_workdir
from ultrabm_jax.training.meter import InvalidBatchError, NonFiniteError
from ultrabm_jax.training.plan import check_batches, check_sides, plan_stages, split_at_phases
from ultrabm_jax.training.preemption import Preemption
from ultrabm_jax.training.progress import Progress
from ultrabm_jax.training.resume import check_steps, describe_changes, explain_misfit
from ultrabm_jax.training.rollback import add_rollback, check_on_nonfinite, read_rollbacks, with_reduced_rate
from ultrabm_jax.training.sharding import make_mesh, replicated
from ultrabm_jax.training.start_log import describe_finished, describe_run, log_start
from ultrabm_jax.training.step import StepFunction, compile_and_sync, compile_step, init_sharded_state
from ultrabm_jax.training.validation_images import ValidationImages, open_validation
from ultrabm_jax.training.workdir import check_config, write_config
from ultrabm_jax.training.writers import open_writer
from ultrabm_jax.typing import Metrics, PyTree


def train_and_evaluate(config: ConfigDict, workdir: str | Path) -> TrainState:
    """Trains to config.train.steps, resuming an earlier run in `workdir`, and returns the final state.

    SIGTERM and SIGINT end the run early, with a checkpoint of the last step; an error of the feed raises after that
    checkpoint is saved. Raises UserError for errors that the user can fix: wrong data or config, an unreadable image, a
    workdir that holds another model or is in use by another run, a loss that stays non-finite, a full disk.
    """
    workdir = absolute(open_path(workdir))
    rename_fields(config)
    check_tuples(config)
    check_on_nonfinite(config.train)
    with log_on_main_process():
        while True:
            try:
                return _train(config, workdir)
            except NonFiniteError as error:
                rollbacks, allowed = len(read_rollbacks(workdir)), config.train.max_rollbacks
                if config.train.on_nonfinite == "stop" or rollbacks == allowed:
                    raise
                _roll_back(config, workdir, error.first)
                logger.warning("%s; rollback %d of %d, with a smaller learning rate", error, rollbacks + 1, allowed)


def _train(config: ConfigDict, workdir: AnyPath) -> TrainState:
    """Trains from the newest checkpoint to the last step. Raises NonFiniteError if the loss stays non-finite."""
    sync_processes()
    mesh = make_mesh(config.mesh)
    stages = plan_stages(config, mesh)
    rollbacks = len(read_rollbacks(workdir))
    method = create_method(with_reduced_rate(config, rollbacks))
    check_sides(stages, method)
    check_batches(stages, method)
    train_source, validation = _open_sources(config, stages)
    sync_processes(timeout_s=COPY_TIMEOUT_S)
    with contextlib.ExitStack() as stack:
        preemption = stack.enter_context(Preemption())
        lock_note = on_main_process(lambda: stack.enter_context(hold_workdir(workdir)))
        earlier = check_config(workdir, config)
        checkpoints = stack.enter_context(contextlib.closing(_open_checkpoints(config, workdir, validation.identity)))
        check_steps(checkpoints.latest_step(), config.train.steps, workdir)
        state, shardings = init_sharded_state(method, config, stages[0], mesh)
        resumed, state = _resume_or_initialise(checkpoints, state, shardings, config, earlier)
        start = int(state.step)
        save_frozen(workdir, state.frozen)
        if earlier is not None and _has_finished(config, checkpoints, start, evaluates=validation.source is not None):
            logger.info(describe_run(config, mesh, state, describe_finished(earlier, config)))
            return state
        # Only now, so that a run that fails to start leaves the workdir's config as it was.
        void = checkpoints.void_scores(None if earlier is None else unrecorded_evaluation_set(earlier))
        write_config(workdir, config, step=start)

        writer, writer_note = open_writer(workdir, main_process=jax.process_index() == 0, after=start)
        stack.callback(writer.close)
        progress = stack.enter_context(contextlib.closing(Progress(start=start, total=config.train.steps)))
        feed = open_feed(config, train_source, mesh)
        changes: list[str] = []
        if earlier is not None and resumed is not None:
            changes = describe_changes(earlier, config, step=start, stages=stages, rollbacks=rollbacks)
        notes = filter(None, (lock_note, _init_note(config, resumed), writer_note, feed.note))
        begin = "starting at step 0" if resumed is None else f"resuming from checkpoint {resumed}"
        logger.info(describe_run(config, mesh, state, f"{begin} of {config.train.steps}"))
        log_start(stages, changes, notes)
        validation.log(void)

        hooks = StepHooks(config, method, mesh, checkpoints, writer, progress, validation.source, start=start)
        key = jax.jit(lambda: jax.random.key(config.seed), out_shardings=replicated(mesh))()
        plan = list(split_at_phases(stages, method.phases(state)))
        hooks.evaluate_resumed(state)
        steps = _steps(feed, plan, mesh, shardings, hooks, start=start)
        return _run_steps(steps, hooks, state, key, preemption=preemption, feed=feed)


def _resume_or_initialise(
    checkpoints: Checkpoints, state: TrainState, shardings: PyTree, config: ConfigDict, earlier: ConfigDict | None
) -> tuple[int | None, TrainState]:
    """(resumed step, its state), or (None, `state` with the parameters of `train.init_from`)."""
    try:
        resumed, state = checkpoints.resume(state)
    except Misfit as error:
        raise explain_misfit(error, earlier, config) from error
    if config.train.init_from and resumed is None:
        state = initialise(state, shardings, config)
    return resumed, state


def _init_note(config: ConfigDict, resumed: int | None) -> str:
    ignored = "train.init_from is ignored: the parameters are the checkpoint's"
    return ignored if config.train.init_from and resumed is not None else ""


def _run_steps(
    steps: Iterator[tuple[Stage, StepFunction, PyTree]],
    hooks: StepHooks,
    state: TrainState,
    key: jax.Array,
    *,
    preemption: Preemption,
    feed: Feed,
) -> TrainState:
    """Runs `steps` until the last one or until a signal asks to stop; returns the final state, which is saved."""
    try:
        while (following := _next_step(steps, hooks, state)) is not None and not preemption.requested(hooks.step):
            stage, train_step, inputs = following
            state, metrics = train_step(state, inputs, key)
            hooks.after_step(state, metrics, examples=stage.batch_size)
        hooks.finish(state)
    except InvalidBatchError as error:
        hooks.save_after_error(state)
        raise feed.error or UserError("another process could not load its images; see its log") from error
    if following is not None:
        name, step = preemption.signal_name, hooks.step
        logger.info("stopped by %s at step %d; run the same command to continue", name, step)
    return state


def _next_step(
    steps: Iterator[tuple[Stage, StepFunction, PyTree]], hooks: StepHooks, state: TrainState
) -> tuple[Stage, StepFunction, PyTree] | None:
    """The next of `steps`, or None after the last. Saves `state` before it raises what the feed raises.

    In a run of several processes the others know nothing of this error, and a save needs all: see HostFeed.
    """
    try:
        return next(steps, None)
    except InvalidBatchError:
        raise
    except Exception:  # an unreadable image, a lost disk, a defect: the finished steps are kept in each case
        if jax.process_count() == 1:
            hooks.flush()
            hooks.save_after_error(state)
        raise


def _roll_back(config: ConfigDict, workdir: AnyPath, first_nonfinite: int) -> None:
    """Sets aside the checkpoints from step `first_nonfinite` on, then records the rollback."""
    checkpoints = _open_checkpoints(config, workdir)
    checkpoints.set_aside_from(first_nonfinite)
    checkpoints.close()
    add_rollback(workdir, first_nonfinite)
    sync_processes()


def _open_sources(config: ConfigDict, stages: Sequence[Stage]) -> tuple[PairSource, ValidationImages]:
    """The training images and those that choose the best checkpoint."""
    if config.eval.best not in METRICS:
        raise UserError(f"unknown eval.best {config.eval.best!r}; known: {', '.join(METRICS)}")
    if METRICS[config.eval.best].higher_is_better is None:
        raise UserError(f"eval.best={config.eval.best!r} has no better direction; choose another protocol")
    train = open_source(config.data, scale=config.model.scale)
    require_patch(train, max(stage.patch_size for stage in stages))
    return train, open_validation(config)


def _open_checkpoints(config: ConfigDict, workdir: AnyPath, evaluated: EvaluationSet | None = None) -> Checkpoints:
    best, saving = config.eval.best, config.checkpoint
    return Checkpoints(
        workdir,
        metric=best,
        higher_is_better=bool(METRICS[best].higher_is_better),
        keep=saving.keep,
        max_failed=saving.max_failed,
        evaluated=evaluated,
    )


def _steps(
    feed: Feed,
    plan: Sequence[tuple[Stage, TrainStep]],
    mesh: Mesh,
    shardings: PyTree,
    hooks: StepHooks,
    *,
    start: int,
) -> Iterator[tuple[Stage, StepFunction, PyTree]]:
    """(stage, compiled step, inputs) of each step from `start` on; compiles once for each entry of the plan."""
    for stage, train_step in plan:
        if stage.stop <= start:
            continue
        sizes = {"batch_size": stage.batch_size, "patch_size": stage.patch_size}
        step = compile_step(train_step, mesh, shardings, feed.prepare(**sizes), input_kind=feed.input_kind)
        compiled = _timed(compile_and_sync(step), stage, hooks)
        for inputs in feed.batches(start_step=max(start, stage.start), stop_step=stage.stop, **sizes):
            yield stage, compiled, inputs
        if jax.process_count() > 1:
            hooks.flush()  # before the next stage, for which a process that has failed has no batch


def _timed(step: StepFunction, stage: Stage, hooks: StepHooks) -> StepFunction:
    """`step`, which compiles when it is first called; logs this, leaves it out of the rates, and frees its memory."""
    first = True

    def call(state: TrainState, inputs: PyTree, key: jax.Array) -> tuple[TrainState, Metrics]:
        nonlocal first
        if not first:
            return step(state, inputs, key)
        first = False
        batch = f"batches of {stage.batch_size}, patches of {stage.patch_size} pixels"
        logger.info("compiling the training step for %s: a minute or more, shorter if it was compiled before", batch)
        started = time.monotonic()
        result = step(state, inputs, key)
        return_freed_memory()
        seconds = time.monotonic() - started
        logger.info("compiled in %.0f s", seconds)
        hooks.exclude(seconds)
        return result

    return call


def _has_finished(config: ConfigDict, checkpoints: Checkpoints, step: int, *, evaluates: bool) -> bool:
    """Whether `step` is the last one and its evaluation was not interrupted; the same in all processes."""
    if step != config.train.steps:
        return False
    return not evaluates or broadcast_flag(bool(checkpoints.scores(step)))
