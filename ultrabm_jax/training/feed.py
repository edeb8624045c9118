"""Feeds supply the batches of the training steps: from the host's loaders, or from images in device memory.

A feed has two parts: `batches` yields the inputs of each step (a tree of global arrays), and `prepare` returns the pure
function, traced into the jitted step, that turns these inputs into the step's batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.typing import ArrayLike
from ml_collections import ConfigDict

import input_pipeline
from input_pipeline import PairSource
from input_pipeline.loaders.in_memory import MemoryFeed
from ultrabm_jax.raw.levels import normalise
from ultrabm_jax.training.guard import VALID
from ultrabm_jax.training.sharding import global_batch
from ultrabm_jax.typing import Batch, HostBatch, InputKind, PyTree

BatchFunction = Callable[[PyTree, jax.Array], Batch]  # (inputs, step) -> batch as stored, before `to_float`


class Feed(Protocol):
    """The source of training batches."""

    note: str  # for the log; may be empty
    input_kind: InputKind  # of the batches
    error: Exception | None  # with several processes: why this one loads no more batches

    def batches(self, *, start_step: int, stop_step: int, batch_size: int, patch_size: int) -> Iterator[PyTree]:
        """The inputs of the steps [start_step, stop_step)."""

    def prepare(self, *, batch_size: int, patch_size: int) -> BatchFunction:
        """The pure function that makes a step's batch from its inputs."""


class HostFeed:
    """Batches of the host's loaders (input_pipeline/loaders/batches.py); each process loads its part of the batch."""

    note = ""
    error: Exception | None = None

    def __init__(self, source: PairSource, mesh: Mesh, *, seed: int, loader: str, workers: int) -> None:
        self._source, self._mesh, self.input_kind = source, mesh, source.input_kind
        self._seed, self._loader, self._workers = seed, loader, workers

    def batches(self, *, start_step: int, stop_step: int, batch_size: int, patch_size: int) -> Iterator[Batch]:
        batches = input_pipeline.train_batches(
            self._source,
            seed=self._seed,
            loader=self._loader,
            workers=self._workers,
            start_step=start_step,
            stop_step=stop_step,
            batch_size=batch_size,
            patch_size=patch_size,
            process_index=jax.process_index(),
            process_count=jax.process_count(),
        )
        if jax.process_count() > 1:
            batches = self._stop_together(batches, steps=stop_step - start_step)
        for batch in batches:
            yield global_batch(batch, self._mesh)

    def _stop_together(self, batches: Iterator[HostBatch], *, steps: int) -> Iterator[HostBatch]:
        """Adds VALID to the batches. From an error on, the last batch again, but not valid, as the others go on.

        An error of the first batch raises.
        """
        batch: HostBatch | None = None
        for _ in range(steps):
            if self.error is None:
                try:
                    batch = next(batches)
                except StopIteration:
                    return
                except Exception as error:  # an unreadable image, a lost disk, a defect
                    if batch is None:
                        raise
                    self.error = error
            assert batch is not None
            yield batch | {VALID: np.full(len(batch["low"]), self.error is None, np.float32)}

    def prepare(self, *, batch_size: int, patch_size: int) -> BatchFunction:
        return identity


def open_feed(config: ConfigDict, source: PairSource, mesh: Mesh) -> Feed:
    """The feed that config.data.loader names."""
    data = config.data
    if data.loader == "in_memory":
        return MemoryFeed(source, mesh, seed=config.seed, place=data.in_memory_placement)
    return HostFeed(source, mesh, seed=config.seed, loader=data.loader, workers=data.workers)


def identity(batch: Batch, step: jax.Array) -> Batch:
    """The batch function of inputs that are a batch already."""
    return batch


def to_float(batch: Mapping[str, ArrayLike], *, input_kind: InputKind) -> Batch:
    """Stored batch -> float32 batch: uint8 / 255, uint16 / 65535; mosaics by their black and white levels.

    A batch of mosaics (input_kind="mosaic") has `low` (b, p, p, 1) uint16, `black` (b, k, k), one level for each place
    of the filter pattern, and `white` (b,); the levels are used and removed (`raw.levels.normalise`). Float arrays are
    returned unchanged.
    """
    arrays = {name: jnp.asarray(value) for name, value in batch.items()}
    if input_kind == "mosaic":
        arrays["low"] = normalise(arrays["low"][..., 0], arrays.pop("black"), arrays.pop("white"), xp=jnp)[..., None]
    tops = {jnp.dtype(jnp.uint8): 255, jnp.dtype(jnp.uint16): 65535}
    return {
        name: value.astype(jnp.float32) / tops[value.dtype] if value.dtype in tops else value
        for name, value in arrays.items()
    }
