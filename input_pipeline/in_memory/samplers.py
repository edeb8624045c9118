"""From resident pictures to a batch, for each kind of source: the device's version of its `crop`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

from input_pipeline.darkened import DarkenedPhotos
from input_pipeline.in_memory import draw
from input_pipeline.in_memory.darkness import darken
from input_pipeline.source import Pairs, PairSource
from ultrabm_jax.errors import UserError

Batch = dict[str, jax.Array]
Cut = Callable[[str, jax.Array, int], jax.Array]  # name of the array, corners (b, 2), side -> (b, side, side, c)
Sampler = Callable[..., Batch]  # (keys (b,), sizes (b, 2) of the stored grid, cut, patch=) -> batch


def sampler_of(source: PairSource) -> Sampler:
    """How to make batches of this source on the device; UserError if there is no way."""
    if isinstance(source, Pairs):
        return _pairs_sampler(source)
    if isinstance(source, DarkenedPhotos):
        return _darkened_sampler(source)
    raise UserError(f"data.loader=in_memory has no sampler for {type(source).__name__}; take tfdata or threads")


def _pairs_sampler(source: Pairs) -> Sampler:
    scale = source.scale

    def sample(keys: jax.Array, sizes: jax.Array, cut: Cut, names: tuple[str, ...], *, patch: int) -> Batch:
        corner_keys, which = _split(keys)
        corners = draw.corners(corner_keys, sizes, patch)
        factors = {name: scale if name == "reference" else 1 for name in names}
        crops = {name: cut(name, corners * factor, patch * factor) for name, factor in factors.items()}
        return {name: draw.flip_rotate(crop, which) for name, crop in crops.items()}

    return sample


def _darkened_sampler(source: DarkenedPhotos) -> Sampler:
    scale, options = source.scale, source.options

    def sample(keys: jax.Array, sizes: jax.Array, cut: Cut, names: tuple[str, ...], *, patch: int) -> Batch:
        corner_keys, which = _split(keys)
        noise_keys = jax.vmap(lambda key: jax.random.fold_in(key, 2))(keys)
        side = patch * scale
        reference = draw.flip_rotate(cut("reference", draw.corners(corner_keys, sizes, side), side), which)
        low = jax.vmap(lambda key, picture: darken(key, picture, options, scale=scale))(noise_keys, reference)
        return {"low": low, "reference": reference}

    return sample


def _split(keys: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Keys for the corners, and the symmetry of each example."""
    corner_keys = jax.vmap(lambda key: jax.random.fold_in(key, 0))(keys)
    which = jax.vmap(lambda key: jax.random.randint(jax.random.fold_in(key, 1), (), 0, 8))(keys)
    return corner_keys, which


def describe(source: PairSource, resident: Any, split: bool) -> str:
    """One line for the start of the log."""
    total = sum(array.nbytes for array in resident.arrays.values())
    where = "split over the devices" if split else "on every device"
    return f"{len(source)} decoded pictures in device memory, {total / 2**20:.0f} MiB, {where}"
