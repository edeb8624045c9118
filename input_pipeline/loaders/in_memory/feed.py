"""The loop's feed (ultrabm_jax/training/feed.py) for a data set in device memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from input_pipeline.loaders.in_memory import draw
from input_pipeline.loaders.in_memory.crops import crop
from input_pipeline.loaders.in_memory.resident import Resident, load_resident
from input_pipeline.loaders.in_memory.samplers import describe, make_sampler
from input_pipeline.sources.base import PairSource, require_patch
from ultrabm_jax.errors import UserError
from ultrabm_jax.typing import Batch

ORDER, EXAMPLE = 1, 2  # streams of random numbers
SECOND = 3  # parent stream of all streams of an example's second component
Residents = tuple[Resident, ...]  # one for each component of an example


class MemoryFeed:
    """Every step receives the same arrays; `prepare` makes the step's batch from them."""

    error: Exception | None = None  # nothing is loaded after the start

    def __init__(self, source: PairSource, mesh: Mesh, *, seed: int, place: str = "auto"):
        self._source, self.input_kind = source, source.input_kind
        streams = zip(source.components(), (None, SECOND), strict=False)
        self._parts = [_Component(part, mesh, seed=seed, stream=stream, place=place) for part, stream in streams]
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


class _Component:
    """One component of the source in device memory, with its own order and random numbers."""

    def __init__(self, source: PairSource, mesh: Mesh, *, seed: int, stream: int | None, place: str):
        self._sampler = make_sampler(source)
        self._source, self._mesh, self._seed, self._stream = source, mesh, seed, stream
        self.resident, self._split = load_resident(source, mesh, place=place)
        self.note = describe(source, self.resident, self._split)

    def prepare(self, *, batch_size: int, patch_size: int) -> Callable[[Resident, jax.Array], Batch]:
        count, mesh, split, sampler = len(self._source), self._mesh, self._split, self._sampler

        def make(resident: Resident, step: jax.Array) -> Batch:
            key = jax.random.key(self._seed)
            key = key if self._stream is None else jax.random.fold_in(key, self._stream)
            order_key, example_key = (jax.random.fold_in(key, i) for i in (ORDER, EXAMPLE))
            index = draw.image_indices(order_key, step, batch_size=batch_size, count=count)
            step_key = jax.random.fold_in(example_key, step)
            keys = jax.vmap(lambda slot: jax.random.fold_in(step_key, slot))(jnp.arange(batch_size))

            def crop_resident(name: str, offsets: jax.Array, side: int) -> jax.Array:
                return crop(resident.images[name], index, offsets, side=side, mesh=mesh, split=split)

            values = {name: value[index] for name, value in resident.values.items()}
            return sampler(keys, resident.sizes[index], values, crop_resident, tuple(resident.images), patch=patch_size)

        return make
