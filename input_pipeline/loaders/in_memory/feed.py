"""The loop's feed (ultrabm_jax/training/feed.py) for a data set in device memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import jax
from jax.sharding import Mesh

from input_pipeline.loaders.in_memory.component import Stream, load_component
from input_pipeline.sources.base import PairSource, require_patch
from ultrabm_jax.errors import UserError
from ultrabm_jax.typing import Batch, PyTree

SECOND = 3  # stream of an example's second component; the first one has the seed's own
Residents = tuple[PyTree, ...]  # one for each component of an example


class MemoryFeed:
    """Every step receives the same arrays; `prepare` makes the step's batch from them."""

    error: Exception | None = None  # nothing is loaded after the start

    def __init__(self, source: PairSource, mesh: Mesh, *, seed: int, place: str = "auto"):
        self._source, self.input_kind = source, source.input_kind
        streams = zip(source.components(), (None, SECOND), strict=False)
        self._parts = [load_component(part, mesh, stream=Stream(seed, stream), place=place) for part, stream in streams]
        self.note = "; ".join(part.note for part in self._parts)

    def batches(self, *, start_step: int, stop_step: int, batch_size: int, patch_size: int) -> Iterator[Residents]:
        """Yields the resident arrays once for each step."""
        require_patch(self._source, patch_size)
        if stop_step * batch_size >= 2**32:
            raise UserError("data.loader=in_memory counts examples in 32 bits: too many steps; use data.loader=tfdata")
        for _ in range(start_step, stop_step):
            yield tuple(part.resident for part in self._parts)

    def prepare(self, *, batch_size: int, patch_size: int) -> Callable[[Residents, jax.Array], Batch]:
        """Returns a function (resident arrays, step) -> batch of integers, to be traced in the step."""
        makers = [part.prepare(batch_size=batch_size, patch_size=patch_size) for part in self._parts]

        def make(residents: Residents, step: jax.Array) -> Batch:
            batch: Batch = {}
            for maker, resident in zip(makers, residents, strict=True):
                batch |= maker(resident, step)
            return batch

        return make
