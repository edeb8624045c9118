"""The mesh and who holds what: one SPMD program, from one CPU to many hosts.

Axes: `data` and `fsdp` split the batch, `fsdp` also splits large parameters by the rules below, `spatial` splits the
image height. Sharded sizes compile to halo exchanges by themselves. A step gathers the parameters that it uses; their
gradients, the optimiser's moments and the moving average stay split.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import AbstractMesh, Mesh, NamedSharding, PartitionSpec
from ml_collections import ConfigDict

from ultrabm_jax.errors import UserError

AXES = ("data", "fsdp", "spatial")

# (pattern, partition of the last dimensions). Of a leaf of the state, whose name is its path ("params/enc/kernel"), the
# first rule counts whose pattern is found in the name and whose split dimensions divide. Moments and moving average
# carry the names of their parameters at the end, and so follow them.
Rule = tuple[str, tuple[str | None, ...]]
RULES: tuple[Rule, ...] = (
    (r"kernel$", (None, "fsdp")),  # of convolutions and dense layers (..., in, out): output features
    (r"kernel$", ("fsdp", None)),  # where those do not divide: input features
    (r"", ()),  # all else, biases and scales and counters: whole on every device
)
USED = r"params|frozen"  # leaves that a step computes with, and not the optimiser alone
# Below it XLA (jaxlib 0.10.2) computes wrong values where the height is split: 3x3 convolutions of maps at most 2 high,
# UltraBM's coarsest level (1/16 of the patch), are summed over devices that hold the same. From 48 on all is well.
SPATIAL_PATCH = 48


def make_mesh(mesh: ConfigDict) -> Mesh:
    """config.mesh -> mesh over all devices; one axis may be -1 and takes what the others leave.

    Raises UserError if the sizes do not multiply to the number of devices.
    """
    sizes, devices = [int(mesh[axis]) for axis in AXES], jax.device_count()
    fixed = math.prod(size for size in sizes if size != -1)
    if sizes.count(-1) == 1 and fixed > 0:
        sizes[sizes.index(-1)] = devices // fixed
    if min(sizes) < 1 or math.prod(sizes) != devices:
        asked = ", ".join(f"{axis}={mesh[axis]}" for axis in AXES)
        raise UserError(f"mesh {asked} does not fit {devices} devices; one axis may be -1")
    check_hosts(sizes[AXES.index("spatial")], jax.local_device_count())
    # Auto axes: the compiler propagates shardings through reshapes, which explicit axes refuse.
    return jax.make_mesh(tuple(sizes), AXES, axis_types=(jax.sharding.AxisType.Auto,) * len(AXES))


def check_hosts(spatial: int, local_devices: int) -> None:
    """Raises UserError if an image would be split over processes, each of which makes whole examples."""
    if local_devices % spatial:
        raise UserError(
            f"mesh.spatial={spatial} splits an image over several processes, which have {local_devices} devices each; "
            f"it must divide {local_devices}"
        )


def batch_devices(mesh: Mesh) -> int:
    """How many ways the batch is split."""
    return mesh.shape["data"] * mesh.shape["fsdp"]


def check_patch(patch_size: int, mesh: Mesh) -> None:
    """Raises UserError if a patch of this side cannot be split over `spatial`."""
    ways = mesh.shape["spatial"]
    if ways > 1 and (patch_size % ways or patch_size < SPATIAL_PATCH):
        raise UserError(
            f"mesh.spatial={ways} cannot split a patch of {patch_size}: it must be a multiple of {ways} and at least "
            f"{SPATIAL_PATCH}; change data.patch_size"
        )


def batch_sharding(mesh: Mesh, rank: int = 4) -> NamedSharding:
    """Of images (b, h, w, c); arrays of another rank, one value or table for each example, keep theirs whole."""
    return NamedSharding(mesh, PartitionSpec(("data", "fsdp"), *(("spatial",) if rank == 4 else ())))


def replicated(mesh: Mesh) -> NamedSharding:
    """The same on every device."""
    return NamedSharding(mesh, PartitionSpec())


def partition(name: str, shape: tuple[int, ...], ways: Mapping[str, int], *, small: int = 0) -> PartitionSpec:
    """Of one leaf by RULES; one with fewer than `small` elements is whole. `ways`: axis of the mesh -> its size."""
    if math.prod(shape) < small:
        return PartitionSpec()
    for pattern, last in RULES:
        tail = shape[len(shape) - len(last) :]
        if re.search(pattern, name) and all(n % ways[axis] == 0 for n, axis in zip(tail, last, strict=True) if axis):
            break
    else:
        raise ValueError(f"no rule for {name}")
    axes = [axis if axis and ways[axis] > 1 else None for axis in (*(None,) * (len(shape) - len(last)), *last)]
    while axes and axes[-1] is None:  # as jit writes it
        axes.pop()
    return PartitionSpec(*axes)


def state_shardings(shapes: Any, mesh: Mesh | AbstractMesh, *, small: int = 0) -> Any:
    """Tree of shapes -> tree of shardings. `small`: config.mesh.min_sharded_size."""
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: NamedSharding(mesh, partition(leaf_name(path), leaf.shape, mesh.shape, small=small)), shapes
    )


def gather_used(state: Any, mesh: Mesh) -> Any:
    """Inside the step: `state` with the parameters that it computes with whole on every device.

    Else the compiler may keep the kernels split and gather the activations instead, which are larger.
    """
    if mesh.shape["fsdp"] == 1:
        return state

    def whole(path: Any, leaf: jax.Array) -> jax.Array:
        used = re.search(USED, leaf_name(path))
        return jax.lax.with_sharding_constraint(leaf, replicated(mesh)) if used else leaf

    return jax.tree_util.tree_map_with_path(whole, state)


def leaf_name(path: Any) -> str:
    """Path of a leaf in a tree: "params/encoder/kernel"."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def global_batch(batch: dict[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """This process's part of a batch -> arrays of the whole batch over the mesh."""
    return {
        name: jax.make_array_from_process_local_data(batch_sharding(mesh, value.ndim), value)
        for name, value in batch.items()
    }
