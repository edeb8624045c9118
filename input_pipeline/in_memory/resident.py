"""Whole pictures as arrays over the mesh: on every device, or, when that does not fit, an equal share on each.

Pictures of different sizes are padded at the bottom and right to the largest; `sizes` says what is picture.
"""

from __future__ import annotations

import dataclasses
import functools
import math

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from input_pipeline.source import Example, PairSource
from ultrabm_jax.errors import UserError

BATCH_AXES = ("data", "fsdp")
SHARE = 0.4  # of a device's memory that the data may take on each device before it is split, and after it


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Resident:
    """arrays: {name: (n, h, w, c) or per-picture values (n, ...)}; sizes: (n, 2) int32, (h, w) of the stored grid."""

    arrays: dict[str, jax.Array]
    sizes: jax.Array


def load_resident(source: PairSource, mesh: Mesh, *, place: str = "auto") -> tuple[Resident, bool]:
    """(the decoded set, whether it is split over devices); `place`: auto | each | split.

    Each process decodes only what its own devices hold. UserError if the set does not fit.
    """
    shapes = _shapes(source)
    total = sum(len(source) * math.prod(shape) * dtype.itemsize for shape, dtype in shapes.values())
    ways = math.prod(mesh.shape[axis] for axis in BATCH_AXES)
    split = _decide(place, total, ways)
    rows = math.ceil(len(source) / ways) * ways if split else len(source)
    sharding = NamedSharding(mesh, PartitionSpec(BATCH_AXES) if split else PartitionSpec())
    parts = _Parts(source, shapes)
    arrays: dict[str, jax.Array] = {}
    for name, (shape, _) in shapes.items():
        block = functools.partial(parts.block, name, rows)
        arrays[name] = jax.make_array_from_callback((rows, *shape), sharding, block)
    sizes = np.array([source.stored_size(i) for i in range(len(source))], np.int32)
    return Resident(arrays, jax.device_put(sizes, NamedSharding(mesh, PartitionSpec()))), split


class _Parts:
    """Blocks of pictures as one array; the last block made is kept, since several devices ask for the same."""

    def __init__(self, source: PairSource, shapes: dict[str, tuple[tuple[int, ...], np.dtype]]):
        self._source, self._shapes = source, shapes
        self._made: dict[tuple[int, int], dict[str, np.ndarray]] = {}

    def block(self, name: str, rows: int, index: tuple[slice, ...]) -> np.ndarray:
        start, stop, _ = index[0].indices(rows)
        if (start, stop) not in self._made:
            self._made[start, stop] = self._fill(start, stop)
        return self._made[start, stop][name]

    def _fill(self, start: int, stop: int) -> dict[str, np.ndarray]:
        block = {name: np.zeros((stop - start, *shape), dtype) for name, (shape, dtype) in self._shapes.items()}
        for i in range(start, min(stop, len(self._source))):
            for name, part in self._source.stored(i).items():
                block[name][i - start][tuple(slice(side) for side in part.shape)] = part
        return block


def _shapes(source: PairSource) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """{name: (shape of one padded picture, dtype)}, from one decoded picture and the sizes of all."""
    first: Example = source.stored(0)
    here = source.stored_size(0)
    largest = [max(source.stored_size(i)[axis] for i in range(len(source))) for axis in (0, 1)]
    shapes = {}
    for name, part in first.items():
        shape = part.shape
        if part.ndim == 3:  # a picture: its sides are a whole multiple of the stored grid's
            shape = (largest[0] * (shape[0] // here[0]), largest[1] * (shape[1] // here[1]), shape[2])
        shapes[name] = (shape, part.dtype)
    return shapes


def _decide(place: str, total: int, ways: int) -> bool:
    if place not in ("auto", "each", "split"):
        raise UserError(f"data.in_memory={place!r} is not known; choose auto, each or split")
    stats = jax.local_devices()[0].memory_stats() or {}  # None on a CPU, whose memory all devices share
    room = stats.get("bytes_limit", math.inf) * SHARE
    if place != "auto":
        return place == "split"
    if total > room and total / ways > room:
        raise UserError(
            f"data.loader=in_memory: the decoded data set has {total / 2**30:.1f} GiB, {total / ways / 2**30:.1f} for "
            f"each of {ways} devices, and {room / 2**30:.1f} GiB of one may be used; take data.loader=tfdata"
        )
    return total > room
