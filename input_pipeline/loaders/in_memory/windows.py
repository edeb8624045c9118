"""Windows and patches (sources/patches.py) for whole batches on the device, drawn from JAX keys.

All examples are cropped with the side of the largest window; each window is then resampled to the patch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from input_pipeline.loaders.in_memory import draw
from input_pipeline.sources.patches import FLIPS, PatchSampler
from ultrabm_jax.image.symmetry import flip_rotate_each

Crop = Callable[[str, jax.Array, int], jax.Array]  # name of the array, offsets (b, 2), side -> (b, side, side, c)


class Windows(NamedTuple):
    """A square window for each example, and the symmetry of its patch."""

    offsets: jax.Array  # (b, 2) top and left
    sides: jax.Array  # (b,)
    symmetries: jax.Array  # (b,)


def draw_windows(keys: jax.Array, sizes: jax.Array, patches: PatchSampler, patch: int) -> Windows:
    """Draws windows from keys (b,) in images of the sizes (b, 2), which are at least as large as the largest window."""
    offset_keys = _fold(keys, 0)
    flips = jnp.array(FLIPS[patches.flips])
    symmetries = flips[_choose(_fold(keys, 1), len(flips))]
    known = jnp.array(patches.window_sizes(patch))
    sides = known[_choose(_fold(keys, 3), len(known))]
    if patches.crop_offsets == "grid":
        offsets = jnp.minimum(patch * draw.crop_offsets(offset_keys, sizes // patch, 1), sizes - sides[:, None])
    else:
        offsets = draw.crop_offsets(offset_keys, sizes - sides[:, None], 0)
    return Windows(offsets, sides, symmetries)


def extract_patches(
    crop: Crop, name: str, sizes: jax.Array, windows: Windows, patches: PatchSampler, *, patch: int, factor: int = 1
) -> jax.Array:
    """The patches (b, f p, f p, c) of the array `name`, whose images are `factor` times as large as the windows'."""
    largest = max(patches.window_sizes(patch))
    if set(patches.window_sizes(patch)) == {patch}:
        crops = crop(name, windows.offsets * factor, patch * factor)
        return flip_rotate_each(crops, windows.symmetries, xp=jnp)
    offsets = jnp.minimum(windows.offsets, sizes - largest)  # keeps the crop inside the image
    crops = crop(name, offsets * factor, largest * factor)
    inside = factor * (windows.offsets - offsets)
    resampled = jax.vmap(lambda crop, offset, side: _resample(crop, offset, side, factor * patch))(
        crops, inside, factor * windows.sides
    )
    return flip_rotate_each(resampled, windows.symmetries, xp=jnp)


def _resample(crop: jax.Array, offset: jax.Array, side: jax.Array, patch: int) -> jax.Array:
    """Resamples the window at `offset` (2,) of a crop (s, s, c) to (patch, patch, c), antialiased bicubic."""
    scale = jnp.full(2, patch / side)
    shape, translation = (patch, patch, crop.shape[-1]), -offset * scale
    resampled = jax.image.scale_and_translate(
        crop.astype(jnp.float32), shape, (0, 1), scale, translation, "cubic", antialias=True
    )
    top = np.iinfo(crop.dtype).max
    return jnp.clip(jnp.round(resampled), 0, top).astype(crop.dtype)


def _choose(keys: jax.Array, count: int) -> jax.Array:
    return jax.vmap(lambda key: jax.random.randint(key, (), 0, count))(keys)


def _fold(keys: jax.Array, stream: int) -> jax.Array:
    return jax.vmap(lambda key: jax.random.fold_in(key, stream))(keys)
