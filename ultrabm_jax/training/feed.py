"""Where the step's batch comes from: from the host, one batch after the other, or out of device memory.

A feed has
    batches(start_step, stop_step, batch_size, patch_size) -> iterator of global arrays, one tree for each step
    prepare(batch_size, patch_size) -> pure function (such a tree, step) -> batch as stored; part of the jitted step
and the loop knows nothing else of the data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from ml_collections import ConfigDict

from ultrabm_jax.raw.levels import normalise
from ultrabm_jax.training.sharding import global_batch

Batch = dict[str, jax.Array]
Prepare = Callable[[Any, jax.Array], Batch]


class Feed(Protocol):
    note: str  # for the log; may be empty

    def batches(self, *, start_step: int, stop_step: int, batch_size: int, patch_size: int) -> Iterator[Any]: ...

    def prepare(self, *, batch_size: int, patch_size: int) -> Prepare: ...


class HostFeed:
    """Batches of the host's loaders (input_pipeline/loaders/batches.py), each process making its own slots."""

    note = ""

    def __init__(self, source: Any, mesh: Mesh, *, seed: int, loader: str, workers: int):
        self._source, self._mesh = source, mesh
        self._options: dict[str, Any] = {"seed": seed, "loader": loader, "workers": workers}

    def batches(self, **stage: int) -> Iterator[Batch]:
        import input_pipeline

        options = self._options | {"process_index": jax.process_index(), "process_count": jax.process_count()} | stage
        for batch in input_pipeline.train_batches(self._source, **options):
            yield global_batch(batch, self._mesh)

    def prepare(self, **stage: int) -> Prepare:
        return identity


def open_feed(config: ConfigDict, source: Any, mesh: Mesh) -> Feed:
    """The feed that config.data.loader names."""
    data = config.data
    if data.loader == "in_memory":
        from input_pipeline.loaders.in_memory import MemoryFeed

        return MemoryFeed(source, mesh, seed=config.seed, place=data.in_memory_placement)
    return HostFeed(source, mesh, seed=config.seed, loader=data.loader, workers=data.workers)


def identity(batch: Batch, step: jax.Array) -> Batch:
    """For batches that are ready."""
    return batch


def to_float(batch: Mapping[str, Any]) -> Batch:
    """What is stored -> float32: uint8 / 255, uint16 / 65535; a raw mosaic by its black and white level.

    A mosaic is `low` (b, p, p, 1) uint16 beside `black` (b, k, k), one level for each place of the filter pattern, and
    `white` (b,), which are removed: see `raw.levels.normalise`. Float arrays are returned unchanged.
    """
    batch = dict(batch)
    if "black" in batch:
        batch["low"] = normalise(batch["low"][..., 0], batch.pop("black"), batch.pop("white"), xp=jnp)[..., None]
    tops = {jnp.dtype(jnp.uint8): 255, jnp.dtype(jnp.uint16): 65535}
    return {
        name: value.astype(jnp.float32) / tops[value.dtype] if value.dtype in tops else value
        for name, value in batch.items()
    }
