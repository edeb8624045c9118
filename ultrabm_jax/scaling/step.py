"""Lowers the training step of a config for any mesh, without computing anything or reading weight files."""

from __future__ import annotations

import jax
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from ultrabm_jax.errors import UserError
from ultrabm_jax.methods import Method, create_method
from ultrabm_jax.methods.base import TrainStep
from ultrabm_jax.models import task_from_config
from ultrabm_jax.optim.state import TrainState
from ultrabm_jax.training.sharding import batch_devices, batch_sharding, replicated, state_shardings
from ultrabm_jax.training.step import compile_step

SIDE = 32  # of the example image; no shape of the state depends on it


def abstract_state(method: Method) -> TrainState:
    """Shapes of the whole state of a run, including the frozen networks."""
    return _trained_shapes(method).replace(frozen=method.frozen_shapes())


def _trained_shapes(method: Method) -> TrainState:
    return jax.eval_shape(method.init, jax.random.key(0), method.task.example_input(SIDE))


def abstract_batch(config: ConfigDict, mesh: Mesh, *, per_device: int, patch: int) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes of a batch as it is stored, with `per_device` examples on each device that splits the batch."""
    shapes = task_from_config(config).batch_shapes(per_device * batch_devices(mesh), patch)
    shapes |= dict.fromkeys(config.data.extra_inputs, shapes["low"])
    return {
        name: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=batch_sharding(mesh, len(x.shape)))
        for name, x in shapes.items()
    }


def lower_for(
    config: ConfigDict, mesh: Mesh, *, per_device: int, patch: int, phase: int = -1
) -> tuple[jax.stages.Lowered, TrainState]:
    """(the lowered step, the shapes of its state); `phase`: index of the method's phase."""
    traced, state = trace_for(config, mesh, per_device=per_device, patch=patch, phase=phase)
    return traced.lower(), state


def trace_for(
    config: ConfigDict, mesh: Mesh, *, per_device: int, patch: int, phase: int = -1
) -> tuple[jax.stages.Traced, TrainState]:
    """(the traced step, the shapes of its state); arguments as for `lower_for`."""
    method = create_method(config)
    state = abstract_state(method)
    shardings = state_shardings(state, mesh, small=config.mesh.min_sharded_size)
    state = jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), state, shardings
    )
    key = jax.eval_shape(lambda: jax.random.key(0))
    key = jax.ShapeDtypeStruct(key.shape, key.dtype, sharding=replicated(mesh))
    batch = abstract_batch(config, mesh, per_device=per_device, patch=patch)
    kind = task_from_config(config).input_kind
    step = compile_step(_phase(method, phase), mesh, shardings, input_kind=kind)
    return step.trace(state, batch, key), state


def _phase(method: Method, number: int) -> TrainStep:
    """The step of phase `number`. `phases` reads the step at which they change, so scalars need a value.

    Raises UserError if there is no such phase.
    """
    state = _trained_shapes(method)
    phases = method.phases(jax.tree.map(lambda leaf: leaf if leaf.ndim else np.ones((), leaf.dtype), state))
    if not -len(phases) <= number < len(phases):
        raise UserError(f"--phase {number}: the method has the phases 0 to {len(phases) - 1}")
    return phases[sorted(phases)[number]]
