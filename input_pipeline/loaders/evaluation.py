"""Batches of whole images for an evaluation that several processes share.

All images of a batch have one size. Every process gets the same number of batches of the same shapes, so that no
collective waits for a process that has run out of batches. The last batch of a size is padded; `mask` marks the images
that count.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from input_pipeline.loaders.batches import stack
from input_pipeline.sources.base import PairSource
from ultrabm_jax.errors import UserError
from ultrabm_jax.typing import HostBatch


def eval_batches(
    source: PairSource, *, batch_size: int, count: int = 0, process_index: int = 0, process_count: int = 1
) -> Iterator[HostBatch]:
    """Yields {"low": (b, h, w, c), "reference": (b, s*h, s*w, 3), "index": (b,) int32, "mask": (b,) bool}.

    `low` and `reference` have the data set's integer type. `batch_size` counts the images of all processes; this
    process reads b = batch_size / process_count of them. `count` limits the number of images; 0 means all. Over all
    processes, each index occurs once with mask True.
    """
    if batch_size < 1 or batch_size % process_count:
        raise UserError(f"batch_size={batch_size} must be a positive multiple of the {process_count} processes")
    local = batch_size // process_count
    for indices in _plan(source, batch_size, min(count, len(source)) if count else len(source)):
        mine = slice(process_index * local, (process_index + 1) * local)
        mask = np.arange(batch_size) < len(indices)
        padded = np.array(indices + indices[:1] * (batch_size - len(indices)), np.int32)
        examples = [
            dict(zip(("low", "reference"), source.pair(int(i)), strict=True)) | source.values(int(i))
            for i in padded[mine]
        ]
        yield stack(examples) | {"index": padded[mine], "mask": mask[mine]}


def _plan(source: PairSource, batch_size: int, count: int) -> list[list[int]]:
    """The images of each global batch, in order as far as their sizes allow."""
    batches: list[list[int]] = []
    open_batches: dict[tuple[int, int], list[int]] = {}
    for i in range(count):
        batch = open_batches.get(source.size(i), [])
        if len(batch) % batch_size == 0:
            batch = open_batches[source.size(i)] = []
            batches.append(batch)
        batch.append(i)
    return batches
