"""Bytes of the state on one device, computed from shapes and the rules of training/sharding.py."""

from __future__ import annotations

import math
from collections.abc import Sequence

import jax
from jax.sharding import AbstractMesh
from ml_collections import ConfigDict

from ultrabm_jax.methods import create_method
from ultrabm_jax.optim.state import TrainState
from ultrabm_jax.scaling.step import abstract_state
from ultrabm_jax.training.sharding import AXES, state_shardings
from ultrabm_jax.typing import PyTree


def bytes_per_device(config: ConfigDict, meshes: Sequence[tuple[int, int]]) -> list[dict[str, int]]:
    """{"parameters", "gradients", "state": what checkpoints hold, "frozen"} for each mesh data x fsdp x 1.

    Gradients are sharded as the parameters are; unsharded gradients exist only inside the step.
    """
    state = abstract_state(create_method(config))
    return [_of_mesh(state, AbstractMesh((*mesh, 1), AXES), small=config.mesh.min_sharded_size) for mesh in meshes]


def _of_mesh(state: TrainState, mesh: AbstractMesh, *, small: int) -> dict[str, int]:
    shardings = state_shardings(state, mesh, small=small)
    return {
        "parameters": _held(state.params, shardings.params),
        "gradients": _held(state.params, shardings.params),
        "state": _held(state.saved(), shardings.saved()),
        "frozen": _held(state.frozen, shardings.frozen),
    }


def _held(tree: PyTree, shardings: PyTree) -> int:
    leaves = zip(jax.tree.leaves(tree), jax.tree.leaves(shardings), strict=True)
    return sum(math.prod(sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize for leaf, sharding in leaves)
