"""The sharded initial state and the jitted training step of a method."""

from __future__ import annotations

from collections.abc import Callable

import jax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from ultrabm_jax.methods import Method
from ultrabm_jax.methods.base import TrainStep
from ultrabm_jax.optim.state import TrainState
from ultrabm_jax.stages import Stage
from ultrabm_jax.training.distributed import sync_processes
from ultrabm_jax.training.feed import BatchFunction, identity, to_float
from ultrabm_jax.training.guard import VALID, keep_if_finite, keep_if_valid
from ultrabm_jax.training.sharding import (
    batch_sharding,
    distribute,
    gather_used,
    replicated,
    split_over_data,
    state_shardings,
)
from ultrabm_jax.typing import InputKind, Metrics, PyTree

StepFunction = Callable[[TrainState, PyTree, jax.Array], tuple[TrainState, Metrics]]


def init_sharded_state(method: Method, config: ConfigDict, stage: Stage, mesh: Mesh) -> tuple[TrainState, PyTree]:
    """Initialises the state directly on its devices; returns it and the shardings of its leaves."""

    def init() -> TrainState:  # without arguments, which would have to be arrays over the devices of all processes
        return method.init(jax.random.key(config.seed), method.task.example_input(stage.patch_size))

    small = config.mesh.min_sharded_size
    shardings = state_shardings(jax.eval_shape(init), mesh, small=small)
    # Runs once. On a CPU, full optimisation takes minutes to compile (jax 0.12), level 0 half a minute.
    options = {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else None
    state = jax.jit(init, out_shardings=shardings, compiler_options=options)()
    frozen = method.frozen(jax.random.key(config.seed))
    frozen_shardings = state_shardings({"frozen": frozen}, mesh, small=small)["frozen"]
    return (
        state.replace(frozen=jax.tree.map(distribute, frozen, frozen_shardings)),
        shardings.replace(frozen=frozen_shardings),
    )


def compile_step(
    train_step: TrainStep,
    mesh: Mesh,
    shardings: PyTree,
    make_batch: BatchFunction = identity,
    *,
    input_kind: InputKind,
) -> jax.stages.Wrapped:
    """The jitted step (state, inputs of the feed, key) -> (state, metrics); it donates the state.

    A step with a non-finite metric leaves the state as it was, and so does one with an invalid batch (guard.py).
    """

    def step(state: TrainState, inputs: PyTree, key: jax.Array) -> tuple[TrainState, Metrics]:
        batch = to_float(make_batch(inputs, state.step), input_kind=input_kind)
        batch = {
            name: jax.lax.with_sharding_constraint(value, batch_sharding(mesh, value.ndim))
            for name, value in batch.items()
        }
        loaded = batch.pop(VALID, None)
        with split_over_data(mesh):
            after, metrics = train_step(gather_used(state, mesh), batch, key)
        after = keep_if_finite(state, after, metrics)
        if loaded is None:
            return after, metrics
        valid = loaded.min() > 0
        return keep_if_valid(state, after, valid), metrics | {VALID: valid}

    return jax.jit(
        step,
        in_shardings=(shardings, None, replicated(mesh)),  # None: as the feed placed them
        out_shardings=(shardings, replicated(mesh)),
        donate_argnums=0,
    )


def compile_and_sync(step: jax.stages.Wrapped) -> StepFunction:
    """`step`; with several processes, its first call compiles and then waits until all processes have compiled."""
    if jax.process_count() == 1:
        return step
    compiled: list[jax.stages.Compiled] = []

    def call(state: TrainState, inputs: PyTree, key: jax.Array) -> tuple[TrainState, Metrics]:
        if not compiled:
            compiled.append(step.lower(state, inputs, key).compile())
            sync_processes()
        return compiled[0](state, inputs, key)

    return call
