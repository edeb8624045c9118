"""Windows drawn from keys and their patches, for batches on the device (as sources/patches.py does on the host).

What an example shows is cut with one side for all, that of the largest window, and resampled to the patch out of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from input_pipeline.loaders.in_memory import draw
from input_pipeline.sources.patches import FLIPS, PatchSampler
from ultrabm_jax.image.symmetry import flip_rotate_each

Cut = Callable[[str, jax.Array, int], jax.Array]  # name of the array, corners (b, 2), side -> (b, side, side, c)


class Windows(NamedTuple):
    """Squares of the images of a batch, (b, 2) and (b,), and the symmetry of each patch."""

    corners: jax.Array
    sides: jax.Array
    symmetries: jax.Array


def draw_windows(keys: jax.Array, sizes: jax.Array, patches: PatchSampler, patch: int) -> Windows:
    """keys (b,), sizes (b, 2) of images that are at least as large as the largest window."""
    corner_keys = _fold(keys, 0)
    flips = jnp.array(FLIPS[patches.flips])
    symmetries = flips[_choose(_fold(keys, 1), len(flips))]
    known = jnp.array(patches.window_sizes(patch))
    sides = known[_choose(_fold(keys, 3), len(known))]
    if patches.crop_offsets == "grid":
        corners = jnp.minimum(patch * draw.corners(corner_keys, sizes // patch, 1), sizes - sides[:, None])
    else:
        corners = draw.corners(corner_keys, sizes - sides[:, None], 0)
    return Windows(corners, sides, symmetries)


def patch_of(
    cut: Cut, name: str, sizes: jax.Array, windows: Windows, patches: PatchSampler, *, patch: int, factor: int = 1
) -> jax.Array:
    """The patches (b, f p, f p, c) of an image that is `factor` times as large as the windows', as stored."""
    largest = max(patches.window_sizes(patch))
    if set(patches.window_sizes(patch)) == {patch}:
        patch_pixels = cut(name, windows.corners * factor, patch * factor)
        return flip_rotate_each(patch_pixels, windows.symmetries, xp=jnp)
    corners = jnp.minimum(windows.corners, sizes - largest)  # so that the cut lies inside
    crops = cut(name, corners * factor, largest * factor)
    offsets = factor * (windows.corners - corners)
    resampled = jax.vmap(lambda crop, offset, side: _resample(crop, offset, side, factor * patch))(
        crops, offsets, factor * windows.sides
    )
    return flip_rotate_each(resampled, windows.symmetries, xp=jnp)


def _resample(crop: jax.Array, offset: jax.Array, side: jax.Array, patch: int) -> jax.Array:
    """The window of this offset (2,) and side in (s, s, c), antialiased bicubic, to (patch, patch, c) of its type."""
    scale = jnp.full(2, patch / side)
    shape, translation = (patch, patch, crop.shape[-1]), -offset * scale
    resampled = jax.image.scale_and_translate(
        crop.astype(jnp.float32), shape, (0, 1), scale, translation, "cubic", antialias=True
    )
    top = jnp.iinfo(crop.dtype).max
    return jnp.clip(jnp.round(resampled), 0, top).astype(crop.dtype)


def _choose(keys: jax.Array, count: int) -> jax.Array:
    return jax.vmap(lambda key: jax.random.randint(key, (), 0, count))(keys)


def _fold(keys: jax.Array, stream: int) -> jax.Array:
    return jax.vmap(lambda key: jax.random.fold_in(key, stream))(keys)
