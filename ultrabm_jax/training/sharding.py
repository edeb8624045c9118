"""The device mesh and the shardings of state and batches: one SPMD program, from one CPU to many hosts.

Axes: `data` and `fsdp` split the batch, `fsdp` also splits large parameters by the rules below, `spatial` splits the
image height, for which the compiler inserts halo exchanges. A step gathers the parameters that it uses; gradients, the
optimiser's moments and the moving average stay sharded.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import jax
import numpy as np
from jax.sharding import AbstractMesh, Mesh, NamedSharding, PartitionSpec
from ml_collections import ConfigDict

from ultrabm_jax.errors import UserError
from ultrabm_jax.optim.microbatches import DATA
from ultrabm_jax.optim.state import TrainState
from ultrabm_jax.typing import Batch, HostBatch, PyTree

AXES = (DATA, "fsdp", "spatial")

# (pattern, partition of the last dimensions). The first rule applies whose pattern is found in the leaf's path
# ("params/enc/kernel") and whose split dimensions are divisible. The paths of moments and moving averages end with
# those of their parameters, so they are sharded alike.
Rule = tuple[str, tuple[str | None, ...]]
RULES: tuple[Rule, ...] = (
    (r"kernel$", (None, "fsdp")),  # convolutions and dense layers (..., in, out): output features
    (r"kernel$", ("fsdp", None)),  # if those are not divisible: input features
    (r"", ()),  # everything else (biases, scales, counters): replicated
)
USED = r"params|frozen"  # leaves that the step itself computes with, not only the optimiser
# With smaller patches XLA (jaxlib 0.10.2) computes wrong values where the height is split: it sums 3x3 convolutions of
# maps at most 2 high (UltraBM's coarsest level, 1/16 of the patch) over devices that hold the same rows.
MIN_SPATIAL_PATCH = 48


def make_mesh(mesh: ConfigDict, *, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """config.mesh -> mesh over `devices`, by default all; one axis may be -1, which stands for all remaining devices.

    Raises UserError if the sizes do not multiply to the number of devices.
    """
    sizes, count = [int(mesh[axis]) for axis in AXES], jax.device_count() if devices is None else len(devices)
    fixed = math.prod(size for size in sizes if size != -1)
    if sizes.count(-1) == 1 and fixed > 0:
        sizes[sizes.index(-1)] = count // fixed
    if min(sizes) < 1 or math.prod(sizes) != count:
        asked = ", ".join(f"{axis}={mesh[axis]}" for axis in AXES)
        raise UserError(f"mesh {asked} does not fit {count} devices; one axis may be -1")
    if devices is None:
        check_hosts(sizes[AXES.index("spatial")], jax.local_device_count())
    # Auto axes: the compiler propagates shardings through reshapes, which explicit axes refuse.
    axis_types = (jax.sharding.AxisType.Auto,) * len(AXES)
    return jax.make_mesh(tuple(sizes), AXES, axis_types=axis_types, devices=devices)


def check_hosts(spatial: int, local_devices: int) -> None:
    """Raises UserError if an image would be split over processes, each of which loads whole examples."""
    if local_devices % spatial:
        raise UserError(
            f"mesh.spatial={spatial} splits an image over several processes, which have {local_devices} devices each; "
            f"it must divide {local_devices}"
        )


def batch_devices(mesh: Mesh) -> int:
    """The number of devices that the batch is split over."""
    return mesh.shape["data"] * mesh.shape["fsdp"]


def check_patch(patch_size: int, mesh: Mesh) -> None:
    """Raises UserError if a patch of this side cannot be split over `spatial`."""
    ways = mesh.shape["spatial"]
    if ways > 1 and (patch_size % ways or patch_size < MIN_SPATIAL_PATCH):
        raise UserError(
            f"mesh.spatial={ways} cannot split a patch of {patch_size}: it must be a multiple of {ways} and at least "
            f"{MIN_SPATIAL_PATCH}; change data.patch_size"
        )


def batch_sharding(mesh: Mesh, rank: int = 4) -> NamedSharding:
    """The sharding of images (b, h, w, c). Of other ranks (a value or table per example), only the batch is split."""
    return NamedSharding(mesh, PartitionSpec(("data", "fsdp"), *(("spatial",) if rank == 4 else ())))


def replicated(mesh: Mesh) -> NamedSharding:
    """The sharding of arrays that are replicated on every device."""
    return NamedSharding(mesh, PartitionSpec())


def distribute(value: jax.Array | np.ndarray, sharding: NamedSharding) -> jax.Array:
    """A global array from a value that every process holds."""
    local = np.asarray(value)
    return jax.make_array_from_callback(local.shape, sharding, lambda index: local[index])


def partition(name: str, shape: tuple[int, ...], ways: Mapping[str, int], *, small: int = 0) -> PartitionSpec:
    """Partitions one leaf by RULES; replicates it below `small` elements. `ways`: axis of the mesh -> its size."""
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


def state_shardings(shapes: PyTree, mesh: Mesh | AbstractMesh, *, small: int = 0) -> PyTree:
    """Tree of shapes -> tree of shardings. `small`: config.mesh.min_sharded_size."""
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: NamedSharding(mesh, partition(leaf_name(path), leaf.shape, mesh.shape, small=small)), shapes
    )


def gather_used(state: TrainState, mesh: Mesh) -> TrainState:
    """Replicates all leaves that the step reads; called inside the step.

    Otherwise the compiler may keep the kernels sharded and gather the activations instead, which are larger.
    """
    if mesh.shape["fsdp"] == 1:
        return state

    def gather(path: tuple[Hashable, ...], leaf: jax.Array) -> jax.Array:
        used = re.search(USED, leaf_name(path))
        return jax.lax.with_sharding_constraint(leaf, replicated(mesh)) if used else leaf

    return jax.tree_util.tree_map_with_path(gather, state)


def split_over_data(mesh: Mesh) -> AbstractContextManager[object]:
    """The context in which gradients are averaged over `data` once per step (optim/microbatches.py).

    Without several devices along `data` it changes nothing.
    """
    return jax.sharding.use_abstract_mesh(mesh.abstract_mesh) if mesh.shape[DATA] > 1 else nullcontext()


def leaf_name(path: tuple[Hashable, ...]) -> str:
    """Path of a leaf in a tree: "params/encoder/kernel"."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def global_batch(batch: HostBatch, mesh: Mesh) -> Batch:
    """This process's part of a batch -> global arrays over the mesh."""
    return {
        name: jax.make_array_from_process_local_data(batch_sharding(mesh, value.ndim), value)
        for name, value in batch.items()
    }
