"""Resampling as in PyTorch: half-pixel centres, `align_corners=False`.

`jax.image.resize` differs in two cases. Its cubic kernel is Keys' with a = -0.5 and renormalises the weights
at the border, where PyTorch uses a = -0.75 and replicates the border. Its "nearest" picks the half-pixel neighbour,
where PyTorch reads index floor(i * in / out).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from ultrabm_jax.layers.canvas import replicate_outside

Kernel = Callable[[float], float]  # distance in input pixels -> weight


def bilinear(x: jax.Array, factor: int) -> jax.Array:
    """(b, h, w, c) -> (b, factor * h, factor * w, c)."""
    return _upsample(x, factor, kernel=lambda t: max(0.0, 1 - abs(t)), radius=1)


def bicubic(x: jax.Array, factor: int) -> jax.Array:
    """(b, h, w, c) -> (b, factor * h, factor * w, c), Keys' kernel with a = -0.75."""
    return _upsample(x, factor, kernel=_keys, radius=2)


def nearest(x: jax.Array, size: tuple[int, int]) -> jax.Array:
    """(b, h, w, c) -> (b, *size, c); output pixel i reads input pixel floor(i * in / out)."""
    return _nearest_axis(_nearest_axis(x, size[0], axis=1), size[1], axis=2)


def _nearest_axis(x: jax.Array, size: int, *, axis: int) -> jax.Array:
    """Integer ratios use no gather, so that an axis sharded over devices stays sharded."""
    length = x.shape[axis]
    if size % length == 0:
        return x if size == length else jnp.repeat(x, size // length, axis=axis)
    if length % size == 0:
        return jax.lax.slice_in_dim(x, 0, length, stride=length // size, axis=axis)
    return jnp.take(x, jnp.arange(size) * length // size, axis=axis)


def _keys(t: float, a: float = -0.75) -> float:
    t = abs(t)
    if t <= 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * (t**3 - 5 * t**2 + 8 * t - 4) if t < 2 else 0.0


def _upsample(x: jax.Array, factor: int, *, kernel: Kernel, radius: int) -> jax.Array:
    for axis in (1, 2):
        x = _upsample_axis(x, factor, axis=axis, kernel=kernel, radius=radius)
    return x


def _upsample_axis(x: jax.Array, factor: int, *, axis: int, kernel: Kernel, radius: int) -> jax.Array:
    """Filters the edge-padded input once for each of the `factor` output phases and interleaves the phases."""
    padded = _replicate_edges(replicate_outside(x, axis=axis), radius, axis=axis)
    length = x.shape[axis]

    def tap(offset: int) -> jax.Array:
        return jax.lax.slice_in_dim(padded, radius + offset, radius + offset + length, axis=axis)

    phases = []
    for phase in range(factor):
        centre = (phase + 0.5) / factor - 0.5
        first = math.floor(centre) - radius + 1
        weights = {o: kernel(o - centre) for o in range(first, first + 2 * radius)}
        phases.append(sum(weight * tap(o) for o, weight in weights.items() if weight))
    shape = [*x.shape]
    shape[axis] *= factor
    return jnp.stack(phases, axis=axis + 1).reshape(shape)


def _replicate_edges(x: jax.Array, count: int, *, axis: int) -> jax.Array:
    """Like `jnp.pad(..., mode="edge")`, whose gradient communicates between devices when the batch is sharded."""
    length = x.shape[axis]
    first, last = (jax.lax.slice_in_dim(x, start, start + 1, axis=axis) for start in (0, length - 1))
    return jnp.concatenate([first] * count + [x] + [last] * count, axis=axis)
