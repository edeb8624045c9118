"""Crops of resident images, made where the images are."""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec

from input_pipeline.loaders.in_memory.resident import BATCH_AXES


def cut(images: jax.Array, index: jax.Array, corner: jax.Array, *, side: int, mesh: Mesh, split: bool) -> jax.Array:
    """images (n, h, w, c), index (b,), corner (b, 2) -> (b, side, side, c), the batch over the data axes.

    Where every device holds all images, each cuts its own slots. Where the images are split, each device cuts
    what it holds, zeros elsewhere, and the sum over devices goes out in slots: what moves is crops, never images.
    """
    ways = math.prod(mesh.shape[axis] for axis in BATCH_AXES)
    everywhere, over_batch = PartitionSpec(), PartitionSpec(BATCH_AXES)
    local = functools.partial(_cut_split if split else _cut_own, side=side, ways=ways)
    return jax.shard_map(
        local,
        mesh=mesh,
        in_specs=(over_batch if split else everywhere, everywhere, everywhere),
        out_specs=over_batch,
        check_vma=False,
    )(images, index, corner)


def _cut_own(images: jax.Array, index: jax.Array, corner: jax.Array, *, side: int, ways: int) -> jax.Array:
    slots = index.shape[0] // ways
    first = jax.lax.axis_index(BATCH_AXES) * slots
    mine = functools.partial(jax.lax.dynamic_slice_in_dim, start_index=first, slice_size=slots)
    return _cut(images, mine(index), mine(corner), side)


def _cut_split(images: jax.Array, index: jax.Array, corner: jax.Array, *, side: int, ways: int) -> jax.Array:
    held = images.shape[0]
    place = index - jax.lax.axis_index(BATCH_AXES) * held
    mine = (place >= 0) & (place < held)
    crops = _cut(images, jnp.clip(place, 0, held - 1), corner, side)
    crops = jnp.where(mine[:, None, None, None], crops, 0)
    return jax.lax.psum_scatter(crops, BATCH_AXES, scatter_dimension=0, tiled=True)


def _cut(images: jax.Array, index: jax.Array, corner: jax.Array, side: int) -> jax.Array:
    def one(i: jax.Array, at: jax.Array) -> jax.Array:
        return jax.lax.dynamic_slice(images, (i, at[0], at[1], 0), (1, side, side, images.shape[3]))[0]

    return jax.vmap(one)(index, corner)
