"""The mesh and who holds what: one SPMD program, from one CPU to many hosts.

Axes: `data` and `fsdp` split the batch, `fsdp` also splits every large parameter (and with it its optimiser state and
moving average), `spatial` splits the image height. Sharded sizes compile to halo exchanges by themselves.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from ml_collections import ConfigDict

from ultrabm_jax.errors import UserError

AXES = ("data", "fsdp", "spatial")
SMALL = 2**14  # parameters with fewer elements are replicated: not worth a collective
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
    # Auto axes: the compiler propagates shardings through reshapes, which explicit axes refuse.
    return jax.make_mesh(tuple(sizes), AXES, axis_types=(jax.sharding.AxisType.Auto,) * len(AXES))


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


def state_shardings(shapes: Any, mesh: Mesh) -> Any:
    """Tree of shapes -> tree of shardings: the largest divisible axis of a large leaf is split over `fsdp`."""
    ways = mesh.shape["fsdp"]

    def sharding(leaf: jax.ShapeDtypeStruct) -> NamedSharding:
        divisible = [i for i, size in enumerate(leaf.shape) if size % ways == 0]
        if ways == 1 or math.prod(leaf.shape) < SMALL or not divisible:
            return replicated(mesh)
        axis = max(divisible, key=lambda i: leaf.shape[i])
        return NamedSharding(mesh, PartitionSpec(*(None,) * axis, "fsdp"))

    return jax.tree.map(sharding, shapes)


def global_batch(batch: dict[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """This process's part of a batch -> arrays of the whole batch over the mesh."""
    return {
        name: jax.make_array_from_process_local_data(batch_sharding(mesh, value.ndim), value)
        for name, value in batch.items()
    }
