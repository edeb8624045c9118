"""Crops resident images on the devices that hold them."""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec

from input_pipeline.loaders.in_memory.resident import BATCH_AXES


def crop(images: jax.Array, index: jax.Array, offset: jax.Array, *, side: int, mesh: Mesh, split: bool) -> jax.Array:
    """images (n, h, w, c), index (b,), offset (b, 2) -> (b, side, side, c), the batch sharded over the data axes.

    If every device holds all images, each crops its own slots. If the images are sharded, each device crops those that
    it holds, with zeros elsewhere, and a reduce-scatter distributes the slots: only crops move between devices.
    """
    ways = math.prod(mesh.shape[axis] for axis in BATCH_AXES)
    everywhere, over_batch = PartitionSpec(), PartitionSpec(BATCH_AXES)
    local = functools.partial(_crop_sharded if split else _crop_replicated, side=side, ways=ways)
    return jax.shard_map(
        local,
        mesh=mesh,
        in_specs=(over_batch if split else everywhere, everywhere, everywhere),
        out_specs=over_batch,
        check_vma=False,
    )(images, index, offset)


def _crop_replicated(images: jax.Array, index: jax.Array, offset: jax.Array, *, side: int, ways: int) -> jax.Array:
    slots = index.shape[0] // ways
    first = jax.lax.axis_index(BATCH_AXES) * slots
    mine = functools.partial(jax.lax.dynamic_slice_in_dim, start_index=first, slice_size=slots)
    return _crop(images, mine(index), mine(offset), side)


def _crop_sharded(images: jax.Array, index: jax.Array, offset: jax.Array, *, side: int, ways: int) -> jax.Array:
    held = images.shape[0]
    place = index - jax.lax.axis_index(BATCH_AXES) * held
    mine = (place >= 0) & (place < held)
    crops = _crop(images, jnp.clip(place, 0, held - 1), offset, side)
    crops = jnp.where(mine[:, None, None, None], crops, 0)
    return jax.lax.psum_scatter(crops, BATCH_AXES, scatter_dimension=0, tiled=True)


def _crop(images: jax.Array, index: jax.Array, offset: jax.Array, side: int) -> jax.Array:
    def one(i: jax.Array, at: jax.Array) -> jax.Array:
        return jax.lax.dynamic_slice(images, (i, at[0], at[1], 0), (1, side, side, images.shape[3]))[0]

    return jax.vmap(one)(index, offset)
