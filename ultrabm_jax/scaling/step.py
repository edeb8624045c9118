"""The training step of a config, for a mesh that need not exist: nothing is computed and no weight file is read."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from ultrabm_jax.methods import Method, create_method
from ultrabm_jax.models import create_model
from ultrabm_jax.optim.state import TrainState
from ultrabm_jax.training.loop import compile_step
from ultrabm_jax.training.sharding import batch_devices, batch_sharding, make_mesh, replicated, state_shardings

SIDE = 32  # of the image by which shapes are found; no parameter depends on it


def abstract_state(method: Method) -> TrainState:
    """Shapes of all that a run of the method holds, the frozen networks too."""
    key, low = jax.random.key(0), jax.ShapeDtypeStruct((1, SIDE, SIDE, 3), jnp.float32)
    return jax.eval_shape(method.init, key, low).replace(frozen=_frozen(method))


def _frozen(method: Method) -> dict[str, Any]:
    """As `method.frozen`, which would read files."""
    frozen, config = {}, method.config
    if getattr(method.model, "has_semantic", False):
        random = method.model.clone(semantic_init="random")
        frozen["model"] = {"semantic": jax.eval_shape(random.semantic_variables, jax.random.key(0))}
    if config.loss.get("lambda_p", 0):
        network = create_model(config.loss.perceptual)
        low = jax.ShapeDtypeStruct((1, SIDE, SIDE, 3), jnp.float32)
        frozen["perceptual"] = jax.eval_shape(network.init, jax.random.key(0), low)
    return frozen


def abstract_batch(config: ConfigDict, mesh: Mesh, *, per_device: int, patch: int) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes of a batch as it is stored, with `per_device` examples for each device that splits the batch."""
    examples, scale = per_device * batch_devices(mesh), config.model.scale
    raw = config.model.name == "red"
    shapes: dict[str, tuple[tuple[int, ...], Any]] = {
        "low": ((examples, patch, patch, 1 if raw else 3), jnp.uint16 if raw else jnp.uint8),
        "reference": ((examples, scale * patch, scale * patch, 3), jnp.uint8),
    }
    if raw:
        shapes |= {
            "black": ((examples, 2, 2), jnp.float32),
            "white": ((examples,), jnp.float32),
            "ratio": ((examples,), jnp.float32),
        }
    shapes |= dict.fromkeys(config.data.extra_inputs, shapes["low"])
    return {
        name: jax.ShapeDtypeStruct(shape, dtype, sharding=batch_sharding(mesh, len(shape)))
        for name, (shape, dtype) in shapes.items()
    }


def lower_for(config: ConfigDict, mesh: Mesh, *, per_device: int, patch: int, phase: int = -1) -> tuple[Any, Any]:
    """(the step, to be compiled, and the shapes of its state); `phase`: which of the method's, in order."""
    method = create_method(config)
    state = abstract_state(method)
    shardings = state_shardings(state, mesh, small=config.mesh.min_sharded_size)
    state = jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), state, shardings
    )
    key = jax.eval_shape(lambda: jax.random.key(0))
    key = jax.ShapeDtypeStruct(key.shape, key.dtype, sharding=replicated(mesh))
    batch = abstract_batch(config, mesh, per_device=per_device, patch=patch)
    step = compile_step(_phase(method, phase), mesh, shardings)
    return step.lower(state, batch, key), state


def flops_and_bytes(config: ConfigDict, *, per_device: int, patch: int, phase: int = -1) -> tuple[float, int]:
    """(flops of a step on one device by XLA's cost analysis before compiling, bytes of its gradients)."""
    mesh = make_mesh(ConfigDict({"data": 1, "fsdp": 1, "spatial": 1}))
    lowered, state = lower_for(config, mesh, per_device=per_device, patch=patch, phase=phase)
    return float(lowered.cost_analysis()["flops"]), sum(4 * leaf.size for leaf in jax.tree.leaves(state.params))


def _phase(method: Method, number: int) -> Any:
    """One of the method's steps; where they change is part of the state, so counters need a value."""
    state = jax.eval_shape(method.init, jax.random.key(0), jax.ShapeDtypeStruct((1, SIDE, SIDE, 3), jnp.float32))
    phases = method.phases(jax.tree.map(lambda leaf: leaf if leaf.ndim else np.ones((), leaf.dtype), state))
    return phases[sorted(phases)[number]]
