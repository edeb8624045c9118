"""Whole images in batches, for an evaluation that several processes share.

A batch holds images of one size. Every process gets the same number of batches, of the same shapes, so collectives
never wait for one that has none left; the last batch of a size is filled up, and `mask` says what counts.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from input_pipeline.loaders.batches import Batch, stack
from input_pipeline.sources.base import PairSource
from ultrabm_jax.errors import UserError


def eval_batches(
    source: PairSource, *, batch_size: int, count: int = 0, process_index: int = 0, process_count: int = 1
) -> Iterator[Batch]:
    """{"low": (b, h, w, c), "reference": (b, s*h, s*w, 3), "index": (b,) int32, "mask": (b,) bool}, as stored.

    `batch_size` counts the images of all processes; b = batch_size / process_count are read here. `count` 0 takes
    all images. Over all processes each index comes once with mask True.
    """
    if batch_size < 1 or batch_size % process_count:
        raise UserError(f"batch_size={batch_size} must be a positive multiple of the {process_count} processes")
    local = batch_size // process_count
    for indices in _plan(source, batch_size, min(count, len(source)) if count else len(source)):
        mine = slice(process_index * local, (process_index + 1) * local)
        mask = np.arange(batch_size) < len(indices)
        filled = np.array(indices + indices[:1] * (batch_size - len(indices)), np.int32)
        examples = [
            dict(zip(("low", "reference"), source.pair(int(i)), strict=True)) | source.values(int(i))
            for i in filled[mine]
        ]
        yield stack(examples) | {"index": filled[mine], "mask": mask[mine]}


def _plan(source: PairSource, batch_size: int, count: int) -> list[list[int]]:
    """The images of each global batch: in order, as far as sizes allow."""
    batches: list[list[int]] = []
    open_batch: dict[tuple[int, int], list[int]] = {}
    for i in range(count):
        batch = open_batch.get(source.size(i), [])
        if len(batch) % batch_size == 0:
            batch = open_batch[source.size(i)] = []
            batches.append(batch)
        batch.append(i)
    return batches
