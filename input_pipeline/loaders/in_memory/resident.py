"""Loads whole images as arrays over the mesh: replicated on every device or, if they do not fit, sharded.

Images of different sizes are padded at the bottom and right to the largest; `sizes` holds their true sizes.
"""

from __future__ import annotations

import dataclasses
import itertools
import math

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from input_pipeline.sources.base import PairSource
from ultrabm_jax.errors import UserError

Shapes = dict[str, tuple[tuple[int, int, int], np.dtype]]  # {name: (padded (h, w, c), dtype)}

BATCH_AXES = ("data", "fsdp")
MAX_SHARE = 0.4  # of a device's memory that the data may occupy, replicated or sharded


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Resident:
    """images: {name: (n, h, w, c)}; values: {name: (n, ...)}, one for each image; sizes: (n, 2) int32, (h, w).

    `sizes` refers to the grid on which crops are placed. Values and sizes are replicated.
    """

    images: dict[str, jax.Array]
    values: dict[str, jax.Array]
    sizes: jax.Array


def load_resident(
    source: PairSource, mesh: Mesh, *, place: str = "auto", max_share: float = MAX_SHARE
) -> tuple[Resident, bool]:
    """Decodes the data set; returns it and whether it is sharded. `place`: auto | replicated | sharded.

    `max_share` of a device's memory may be used. Each process decodes only what its own devices hold. Raises UserError
    if the data set does not fit.
    """
    shapes = _shapes(source)
    total = sum(len(source) * math.prod(shape) * dtype.itemsize for shape, dtype in shapes.values())
    ways = math.prod(mesh.shape[axis] for axis in BATCH_AXES)
    split = _is_sharded(place, total, ways, max_share)
    rows = math.ceil(len(source) / ways) * ways if split else len(source)
    sharding = NamedSharding(mesh, PartitionSpec(BATCH_AXES) if split else PartitionSpec())
    parts: dict[str, list[jax.Array]] = {name: [] for name in shapes}
    for (start, stop), devices in _holders(sharding, rows).items():
        block = _read(source, shapes, start, stop)
        for name, device in itertools.product(shapes, devices):
            parts[name].append(jax.device_put(block[name], device))
    images: dict[str, jax.Array] = {
        name: jax.make_array_from_single_device_arrays((rows, *shapes[name][0]), sharding, arrays)
        for name, arrays in parts.items()
    }
    everywhere = NamedSharding(mesh, PartitionSpec())
    values = [source.values(i) | {"sizes": np.array(source.crop_grid_size(i), np.int32)} for i in range(len(source))]
    small = {name: jax.device_put(np.stack([each[name] for each in values]), everywhere) for name in values[0]}
    return Resident(images, small, small.pop("sizes")), split


def _holders(sharding: NamedSharding, rows: int) -> dict[tuple[int, int], list[jax.Device]]:
    """Maps each (start, stop) of the rows to the devices of this process that hold them."""
    holders: dict[tuple[int, int], list[jax.Device]] = {}
    for device, index in sharding.addressable_devices_indices_map((rows,)).items():
        start, stop, _ = index[0].indices(rows) if index else (0, rows, 1)
        holders.setdefault((start, stop), []).append(device)
    return holders


def _read(source: PairSource, shapes: Shapes, start: int, stop: int) -> dict[str, np.ndarray]:
    block = {name: np.zeros((stop - start, *shape), dtype) for name, (shape, dtype) in shapes.items()}
    for i in range(start, min(stop, len(source))):
        for name, image in source.arrays(i).items():
            block[name][i - start, : image.shape[0], : image.shape[1]] = image
    return block


def _shapes(source: PairSource) -> Shapes:
    """Padded shapes, from one decoded image and the sizes of all; sides are a whole multiple of the crop grid's."""
    height, width = source.crop_grid_size(0)
    tallest, widest = (max(source.crop_grid_size(i)[axis] for i in range(len(source))) for axis in (0, 1))
    return {
        name: ((tallest * (part.shape[0] // height), widest * (part.shape[1] // width), part.shape[2]), part.dtype)
        for name, part in source.arrays(0).items()
    }


def _is_sharded(place: str, total: int, ways: int, max_share: float) -> bool:
    if place not in ("auto", "replicated", "sharded"):
        raise UserError(f"data.in_memory_placement={place!r} is not known; choose auto, replicated or sharded")
    stats = jax.local_devices()[0].memory_stats() or {}  # None on a CPU, whose memory all devices share
    budget = stats.get("bytes_limit", math.inf) * max_share
    if place != "auto":
        return place == "sharded"
    if total > budget and total / ways > budget:
        raise UserError(
            f"data.loader=in_memory: the decoded data set has {total / 2**30:.1f} GiB, {total / ways / 2**30:.1f} for "
            f"each of {ways} devices, and {budget / 2**30:.1f} GiB of one may be used; use data.loader=tfdata"
        )
    return total > budget
