"""Batches of whole images for an evaluation that several processes share.

All images of a batch have one size. Every process gets the same number of batches of the same shapes, unless it can
read none of the images of one. The last batch of a size is padded; `mask` marks the images that count.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from input_pipeline.loaders.batches import stack
from input_pipeline.sources.base import Example, PairSource
from ultrabm_jax.errors import UserError
from ultrabm_jax.typing import HostBatch


def eval_batches(
    source: PairSource,
    *,
    batch_size: int,
    count: int = 0,
    process_index: int = 0,
    process_count: int = 1,
    unreadable: dict[int, str] | None = None,
) -> Iterator[HostBatch]:
    """Yields {"low": (b, h, w, c), "reference": (b, s*h, s*w, 3), "index": (b,) int32, "mask": (b,) bool}.

    `low` and `reference` have the data set's integer type; images without references have no `reference`.
    `batch_size` counts the images of all processes; this process reads b = batch_size / process_count of them. `count`
    limits the number of images; 0 means all. Over all processes, each index occurs once with mask True.

    A pair that cannot be read raises UserError. With `unreadable`, it is added there instead (index: reason), its mask
    is False, and this process gets no batch if it can read none of its pairs.
    """
    if batch_size < 1 or batch_size % process_count:
        raise UserError(f"batch_size={batch_size} must be a positive multiple of the {process_count} processes")
    local = batch_size // process_count
    for indices in _plan(source, batch_size, min(count, len(source)) if count else len(source)):
        mine = slice(process_index * local, (process_index + 1) * local)
        mask = (np.arange(batch_size) < len(indices))[mine]
        padded = np.array(indices + indices[:1] * (batch_size - len(indices)), np.int32)[mine]
        ignored = None if unreadable is None else dict[int, str]()  # of padding, which another process reports
        counted = {int(i) for i in padded[mask]}
        examples = {
            i: _read(source, i, unreadable if i in counted else ignored) for i in dict.fromkeys(padded.tolist())
        }
        readable = next((example for example in examples.values() if example is not None), None)
        if readable is None:
            continue
        mask &= [examples[i] is not None for i in padded.tolist()]
        batch = stack([examples[i] or readable for i in padded.tolist()])
        yield batch | {"index": padded, "mask": mask}


def _read(source: PairSource, i: int, unreadable: dict[int, str] | None) -> Example | None:
    """The arrays of a pair, or None if it cannot be read, which is added to `unreadable`."""
    try:
        return source.whole(i)
    except UserError as error:
        if unreadable is None:
            raise
        unreadable[i] = str(error)
        return None


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
