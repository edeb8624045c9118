"""Makes batches from resident images: for each kind of source, the equivalent on the device of its `crop`."""

from __future__ import annotations

from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np

from input_pipeline.loaders.in_memory import draw
from input_pipeline.loaders.in_memory.resident import Resident
from input_pipeline.loaders.in_memory.windows import Crop, draw_windows, extract_patches
from input_pipeline.raw_pairs.crops import FLIPS, crop_black
from input_pipeline.raw_pairs.source import RawPairs
from input_pipeline.sources.base import PairSource
from input_pipeline.sources.pairs import Pairs
from input_pipeline.sources.synthetic import SyntheticPairs
from input_pipeline.sources.unpaired import UnpairedImages
from ultrabm_jax.errors import UserError
from ultrabm_jax.image.darkness import darken_on_device
from ultrabm_jax.image.symmetry import flip_rotate_each
from ultrabm_jax.raw.cfa import CANONICAL, symmetry_offsets
from ultrabm_jax.typing import Batch

Values = dict[str, jax.Array]  # {name: (b, ...)}, of the images in the batch


class Sampler(Protocol):
    """Makes a batch from keys (b,), sizes (b, 2) of the crop grid, values, and a function that crops an array."""

    def __call__(
        self, keys: jax.Array, sizes: jax.Array, values: Values, crop: Crop, names: tuple[str, ...], *, patch: int
    ) -> Batch: ...


def make_sampler(source: PairSource) -> Sampler:
    """The sampler of a source; raises UserError if its kind has none."""
    if isinstance(source, Pairs):
        return _pairs_sampler(source)
    if isinstance(source, RawPairs):
        return _raw_sampler(source)
    if isinstance(source, SyntheticPairs):
        return _synthetic_sampler(source)
    if isinstance(source, UnpairedImages):
        return _unpaired_sampler(source)
    raise UserError(f"data.loader=in_memory has no sampler for {type(source).__name__}; use tfdata or threads")


def _pairs_sampler(source: Pairs) -> Sampler:
    scale, patches = source.scale, source.patches

    def sample(
        keys: jax.Array, sizes: jax.Array, values: Values, crop: Crop, names: tuple[str, ...], *, patch: int
    ) -> Batch:
        windows = draw_windows(keys, sizes, patches, patch)
        factors = {name: scale if name == "reference" else 1 for name in names}
        return {
            name: extract_patches(crop, name, sizes, windows, patches, patch=patch, factor=factor)
            for name, factor in factors.items()
        }

    return sample


def _unpaired_sampler(source: UnpairedImages) -> Sampler:
    factor, patches = source.factor, source.patches

    def sample(
        keys: jax.Array, sizes: jax.Array, values: Values, crop: Crop, names: tuple[str, ...], *, patch: int
    ) -> Batch:
        windows = draw_windows(keys, sizes, patches, patch)
        return {"photo": extract_patches(crop, "photo", sizes, windows, patches, patch=patch, factor=factor)}

    return sample


def _synthetic_sampler(source: SyntheticPairs) -> Sampler:
    scale, options, patches = source.scale, source.options, source.patches

    def sample(
        keys: jax.Array, sizes: jax.Array, values: Values, crop: Crop, names: tuple[str, ...], *, patch: int
    ) -> Batch:
        noise_keys = jax.vmap(lambda key: jax.random.fold_in(key, 2))(keys)
        side = patch * scale
        windows = draw_windows(keys, sizes, patches, side)
        reference = extract_patches(crop, "reference", sizes, windows, patches, patch=side)
        low = jax.vmap(lambda key, image: darken_on_device(key, image, options, scale=scale))(noise_keys, reference)
        return {"low": low, "reference": reference}

    return sample


def _raw_sampler(source: RawPairs) -> Sampler:
    pattern = CANONICAL[source.cfa]
    period = len(pattern)
    allowed = jnp.array(range(8) if source.aug == "preserve" else FLIPS)

    def sample(
        keys: jax.Array, sizes: jax.Array, values: Values, crop: Crop, names: tuple[str, ...], *, patch: int
    ) -> Batch:
        origins, places = _symmetry_tables(pattern, patch, keep=source.aug != "raw")
        offset_keys, symmetries = _draw_symmetries(keys)
        symmetries = allowed[symmetries % len(allowed)]
        periods = (sizes - patch - origins[symmetries]) // period  # by which the offset can vary
        offsets = origins[symmetries] + period * draw.crop_offsets(offset_keys, periods, 0)
        batch = {name: flip_rotate_each(crop(name, offsets, patch), symmetries, xp=jnp) for name in names}
        black = values["black"].reshape(-1, period * period)
        black = jnp.take_along_axis(black, places[symmetries], axis=1).reshape(-1, period, period)
        return batch | values | {"black": black}

    return sample


def _symmetry_tables(pattern: np.ndarray, patch: int, *, keep: bool) -> tuple[jax.Array, jax.Array]:
    """For each symmetry: the smallest crop offset (8, 2), and the index of each level of the patch (8, k * k)."""
    period = len(pattern)
    offsets = symmetry_offsets(pattern, patch) if keep else np.zeros((8, 2), int)
    index = np.arange(period * period, dtype=np.float32).reshape(period, period)
    places = [
        crop_black(index, top=int(top), left=int(left), patch=patch, symmetry=symmetry).ravel()
        for symmetry, (top, left) in enumerate(offsets)
    ]
    return jnp.asarray(offsets), jnp.asarray(np.array(places, np.int32))


def _draw_symmetries(keys: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Keys for the crop offsets, and the symmetry of each example."""
    offset_keys = jax.vmap(lambda key: jax.random.fold_in(key, 0))(keys)
    symmetries = jax.vmap(lambda key: jax.random.randint(jax.random.fold_in(key, 1), (), 0, 8))(keys)
    return offset_keys, symmetries


def describe(source: PairSource, resident: Resident, split: bool) -> str:
    """Describes the resident data in one line, for the log."""
    total = sum(array.nbytes for array in resident.images.values())
    where = "sharded over the devices" if split else "on every device"
    images = "1 decoded image" if len(source) == 1 else f"{len(source)} decoded images"
    return f"{images} in device memory, {total / 2**20:.0f} MiB, {where}"
