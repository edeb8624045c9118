"""The components of an example in device memory: a source, or a mixture of sources, with its own random numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Protocol

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from input_pipeline.loaders.in_memory import draw
from input_pipeline.loaders.in_memory.crops import crop
from input_pipeline.loaders.in_memory.resident import MAX_SHARE, Resident, load_resident
from input_pipeline.loaders.in_memory.samplers import describe, make_sampler
from input_pipeline.sources.base import PairSource
from input_pipeline.sources.mixture import Mixture
from ultrabm_jax.typing import Batch, PyTree

ORDER, EXAMPLE, MEMBER = 1, 2, 4  # streams of random numbers; 3: feed.py


@dataclasses.dataclass(frozen=True)
class Stream:
    """Random numbers of one component: those of the seed, or of a stream of it."""

    seed: int
    number: int | None

    def key(self, purpose: int) -> jax.Array:
        """The key for a purpose, such as ORDER."""
        key = jax.random.key(self.seed)
        key = key if self.number is None else jax.random.fold_in(key, self.number)
        return jax.random.fold_in(key, purpose)


class Component(Protocol):
    """Part of the examples. `resident`: its arrays, the inputs of the step; `note`: a line for the log."""

    resident: PyTree
    note: str

    def prepare(self, *, batch_size: int, patch_size: int) -> Callable[[PyTree, jax.Array], Batch]:
        """Returns a function (resident, step) -> batch, to be traced in the step."""


def load_component(
    source: PairSource, mesh: Mesh, *, stream: Stream, place: str, max_share: float = MAX_SHARE
) -> Component:
    """Decodes the source. `max_share` of a device's memory may be used, which the members of a mixture divide."""
    if not isinstance(source, Mixture):
        return _Single(source, mesh, stream=stream, place=place, max_share=max_share)
    each = max_share / len(source.members)
    members = [_Single(part, mesh, stream=stream, place=place, max_share=each) for part in source.parts()]
    return _Mixed(source, members, stream=stream)


class _Single:
    """One source."""

    def __init__(self, source: PairSource, mesh: Mesh, *, stream: Stream, place: str, max_share: float):
        self._sampler = make_sampler(source)
        self._source, self._mesh, self._stream = source, mesh, stream
        self.resident, self._split = load_resident(source, mesh, place=place, max_share=max_share)
        self.note = describe(source, self.resident, self._split)

    def prepare(self, *, batch_size: int, patch_size: int) -> Callable[[Resident, jax.Array], Batch]:
        count, mesh, split, sampler = len(self._source), self._mesh, self._split, self._sampler

        def make(resident: Resident, step: jax.Array) -> Batch:
            order_key, example_key = self._stream.key(ORDER), self._stream.key(EXAMPLE)
            index = draw.image_indices(order_key, step, batch_size=batch_size, count=count)
            step_key = jax.random.fold_in(example_key, step)
            keys = jax.vmap(lambda slot: jax.random.fold_in(step_key, slot))(jnp.arange(batch_size))

            def crop_resident(name: str, offsets: jax.Array, side: int) -> jax.Array:
                return crop(resident.images[name], index, offsets, side=side, mesh=mesh, split=split)

            values = {name: value[index] for name, value in resident.values.items()}
            return sampler(keys, resident.sizes[index], values, crop_resident, tuple(resident.images), patch=patch_size)

        return make


class _Mixed:
    """A mixture: every member makes a whole batch, of which the examples that were drawn from it are used.

    Crops cost little beside the step, and so the shapes do not depend on how many examples a member gives.
    """

    def __init__(self, source: Mixture, members: list[_Single], *, stream: Stream):
        self._members, self._stream, self._bounds = members, stream, source.bounds
        self.resident = tuple(member.resident for member in members)
        self.note = "; ".join(
            f"{name}: {member.note}" for (name, *_), member in zip(source.members, members, strict=True)
        )

    def prepare(self, *, batch_size: int, patch_size: int) -> Callable[[tuple[Resident, ...], jax.Array], Batch]:
        makers = [member.prepare(batch_size=batch_size, patch_size=patch_size) for member in self._members]

        def make(residents: tuple[Resident, ...], step: jax.Array) -> Batch:
            chosen = draw.members(self._stream.key(MEMBER), step, batch_size=batch_size, bounds=self._bounds)
            batches = [maker(resident, step) for maker, resident in zip(makers, residents, strict=True)]
            return {name: _select(chosen, [batch[name] for batch in batches]) for name in batches[0]}

        return make


def _select(chosen: jax.Array, arrays: list[jax.Array]) -> jax.Array:
    """For each example i of a batch, arrays[chosen[i]][i]."""
    selected = arrays[0]
    for k, array in enumerate(arrays[1:], start=1):
        selected = jnp.where((chosen == k).reshape(-1, *[1] * (array.ndim - 1)), array, selected)
    return selected
