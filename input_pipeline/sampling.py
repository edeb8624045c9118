"""Which image, offset and flip an example shows: pure functions of (seed, step, slot).

The generator is counter-based (Philox), so an example needs no history: a resumed run, another loader and another
number of processes draw the same numbers. Example number = step * batch_size + slot; number n shows image
order(epoch)[n mod count] with epoch = n // count, so each image is shown once per epoch. When a progressive stage
changes the batch size, the numbering continues at another place of the same order, without any stored state.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np

EXAMPLE, ORDER, IMAGE, MEMBER = 1, 2, 3, 4  # independent streams of one seed
_WORD = 2**64


def generator(seed: int, stream: int, high: int = 0, low: int = 0) -> np.random.Generator:
    """A generator that is independent for every (seed, stream, high, low).

    Philox counts in the two low words of its counter; `low` and `high` are the other two.
    """
    counter = np.array([0, 0, low % _WORD, high % _WORD], np.uint64)
    return np.random.Generator(np.random.Philox(key=np.array([seed % _WORD, stream], np.uint64), counter=counter))


def example_rng(seed: int, step: int, slot: int) -> np.random.Generator:
    """The generator of one training example."""
    return generator(seed, EXAMPLE, step, slot)


def member_index(seed: int, step: int, slot: int, bounds: Sequence[float]) -> int:
    """The member of a mixture that a training example comes from; `bounds` separate the members' shares of [0, 1)."""
    return bisect_right(bounds, generator(seed, MEMBER, step, slot).random())


def image_rng(seed: int, name: str) -> np.random.Generator:
    """The generator of one named image; it does not depend on the folder."""
    digest = hashlib.sha256(name.encode()).digest()
    return generator(seed, IMAGE, int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:16], "little"))


def image_index(seed: int, number: int, count: int) -> int:
    """The image that example `number` shows."""
    epoch, place = divmod(number, count)
    return int(_order(seed, epoch, count)[place])


@lru_cache(maxsize=4)  # a batch spans one or two epochs; computing the order for each example is slow for large sets
def _order(seed: int, epoch: int, count: int) -> np.ndarray:
    return generator(seed, ORDER, epoch).permutation(count)


def by_hash(names: Iterable[str], *, salt: str) -> list[str]:
    """Sorts names by the SHA-256 of "salt/name", an order that depends only on the names and the salt."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{salt}/{name}".encode()).digest())


def random_crop_offset(rng: np.random.Generator, size: tuple[int, int], patch: int) -> tuple[int, int]:
    """Top and left of a uniformly placed patch."""
    height, width = size
    return int(rng.integers(height - patch + 1)), int(rng.integers(width - patch + 1))
