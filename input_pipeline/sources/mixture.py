"""Several sources in one (config.data.mixture): each training example comes from one of them, drawn by weight.

Example (step, slot) is drawn from a member with a generator of (seed, step, slot) alone, and it shows what this member
by itself would show as example (step, slot). It therefore depends on no earlier example, as for a single data set.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np

from input_pipeline.sampling import member_index
from input_pipeline.sources.base import Example, PairSource
from input_pipeline.sources.lazy_images import Size
from ultrabm_jax.errors import UserError


class MixedSource(NamedTuple):
    """A member: its name, its share of the examples, its pairs."""

    name: str
    share: float
    pairs: PairSource


class Mixture(PairSource):
    """Numbered through the members in turn (the first pair of each, the second of each, ...); names are MEMBER/NAME."""

    def __init__(self, members: Sequence[MixedSource]):
        self.members = tuple(members)
        first = self.members[0].pairs
        self.scale, self.input_kind, self.extra_names = first.scale, first.input_kind, first.extra_names
        self.bounds = tuple(accumulate(member.share for member in self.members[:-1]))  # of the shares in [0, 1)
        self._places = sorted((i, k) for k, member in enumerate(self.members) for i in range(len(member.pairs)))
        self._numbers = {(k, i): number for number, (i, k) in enumerate(self._places)}
        self._require_one_structure()

    def __len__(self) -> int:
        return len(self._places)

    def name(self, i: int) -> str:
        member, index = self._find(i)
        return f"{member.name}/{member.pairs.name(index)}"

    def member(self, i: int) -> str:
        return self._find(i)[0].name

    def group(self, i: int) -> str:
        """The member: an evaluation of a mixture has one group for each."""
        return self.member(i)

    def draw(self, *, seed: int, step: int, slot: int, batch_size: int) -> int:
        k = member_index(seed, step, slot, self.bounds)
        index = self.members[k].pairs.draw(seed=seed, step=step, slot=slot, batch_size=batch_size)
        return self._numbers[k, index]

    def pair(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        member, index = self._find(i)
        return member.pairs.pair(index)

    def crop(self, i: int, *, patch: int, rng: np.random.Generator) -> Example:
        member, index = self._find(i)
        return member.pairs.crop(index, patch=patch, rng=rng)

    def size(self, i: int) -> Size:
        member, index = self._find(i)
        return member.pairs.size(index)

    def arrays(self, i: int) -> Example:
        member, index = self._find(i)
        return member.pairs.arrays(index)

    def values(self, i: int) -> Example:
        member, index = self._find(i)
        return member.pairs.values(index)

    def crop_grid_size(self, i: int) -> Size:
        member, index = self._find(i)
        return member.pairs.crop_grid_size(index)

    def min_input_size(self, patch: int) -> int:
        return max(member.pairs.min_input_size(patch) for member in self.members)

    def parts(self) -> tuple[PairSource, ...]:
        return tuple(member.pairs for member in self.members)

    def _find(self, i: int) -> tuple[MixedSource, int]:
        index, k = self._places[i]
        return self.members[k], index

    def _require_one_structure(self) -> None:
        """Raises UserError unless the examples of all members can be in one batch."""
        structures = {member.name: _structure(member.pairs) for member in self.members if len(member.pairs)}
        for first, second in pairwise(structures):
            if structures[first] != structures[second]:
                raise UserError(
                    f"data.mixture: examples of {first} and {second} cannot be in one batch: {first} has "
                    f"{structures[first]}, {second} has {structures[second]}"
                )


def _structure(source: PairSource) -> str:
    """What a batch of the source holds: kind of image, scale, and the inputs beside low and reference."""
    shapes = {name: value.shape for name, value in source.values(0).items()}
    kind = {"rgb": "RGB images", "mosaic": "camera raw files"}[source.input_kind]
    more = [*source.extra_names, *(f"{name} {shape}" for name, shape in shapes.items())]
    return f"{kind} x{source.scale}" + (f" with {', '.join(more)}" if more else "")
