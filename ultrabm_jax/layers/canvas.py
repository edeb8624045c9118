"""Images of many sizes in one compiled program: each lies in the top left corner of a larger canvas of a fixed size.

    with use_canvas(Canvas(size=jnp.array([h, w]), shape=(H, W), multiple=16)):
        out = model.apply(variables, low)                  # low (b, H, W, c); out[:, : s h, : s w] is exact

Inside `use_canvas`, layers reproduce the border of the image instead of that of the array: convolutions read zeros
outside the image, interpolation repeats its last row and column, padding reflects it, and statistics count only its
positions. What a layer returns outside the image is unspecified but finite. Without a canvas all functions of this
module are those of the whole array, and the program is the same as if they did not exist.

The canvas is a property of the trace, like a mesh or `jax.default_matmul_precision`: set it around `apply`, inside the
function that is compiled. `size` is traced, so that one program serves all sizes up to `shape`.

A network fits if its down-sampling factors divide its padding (`Canvas.multiple`), or if it rounds sizes up: a feature
map of H_k rows then has ceil(h_p H_k / H) rows inside the image, with h_p the padded height of the image.
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
from collections.abc import Iterator

import jax
import jax.numpy as jnp


@dataclasses.dataclass(frozen=True)
class Canvas:
    """Where the image lies: in rows 0 to h - 1 and columns 0 to w - 1 of an array with `shape` (H, W)."""

    size: jax.Array  # (2,) int32: h and w before the network pads them
    shape: tuple[int, int]  # multiples of `multiple`
    multiple: int  # the network pads h and w to multiples of this

    def length(self, full: int, axis: int, *, padded: bool = True) -> jax.Array:
        """How many of `full` rows (axis 1) or columns (axis 2) belong to the image, with or without its padding."""
        size = self.size[axis - 1]
        if padded:
            size = -(-size // self.multiple) * self.multiple
        return -(-size * full // self.shape[axis - 1])


_current: contextvars.ContextVar[Canvas | None] = contextvars.ContextVar("canvas", default=None)


@contextlib.contextmanager
def use_canvas(canvas: Canvas) -> Iterator[None]:
    """Layers traced inside treat their inputs as lying on `canvas`."""
    token = _current.set(canvas)
    try:
        yield
    finally:
        _current.reset(token)


def current_canvas() -> Canvas | None:
    """The canvas of the enclosing `use_canvas`, or None."""
    return _current.get()


def inside(x: jax.Array, *, padded: bool = True) -> jax.Array | None:
    """(1, h, w, 1) bool: the positions of x (b, h, w, c) that belong to the image; None without a canvas."""
    canvas = current_canvas()
    if canvas is None:
        return None
    rows, columns = (jnp.arange(x.shape[axis]) < canvas.length(x.shape[axis], axis, padded=padded) for axis in (1, 2))
    return (rows[:, None] & columns)[None, :, :, None]


def zero_outside(x: jax.Array) -> jax.Array:
    """x (b, h, w, c) with zeros outside the image."""
    mask = inside(x)
    return x if mask is None else jnp.where(mask, x, 0)


def mean_over_positions(x: jax.Array) -> jax.Array:
    """Mean of the image's positions: (b, h, w, c) -> (b, 1, 1, c), float32."""
    x, canvas = x.astype(jnp.float32), current_canvas()
    if canvas is None:
        return x.mean(axis=(1, 2), keepdims=True)
    count = canvas.length(x.shape[1], 1) * canvas.length(x.shape[2], 2)
    return jnp.sum(zero_outside(x), axis=(1, 2), keepdims=True) / count


def replicate_outside(x: jax.Array, *, axis: int) -> jax.Array:
    """x (b, h, w, c) with its last row (axis 1) or column (axis 2) inside the image repeated outside of it."""
    canvas = current_canvas()
    if canvas is None:
        return x
    length, shape = canvas.length(x.shape[axis], axis), [1] * x.ndim
    shape[axis] = x.shape[axis]
    last = jax.lax.dynamic_slice_in_dim(x, length - 1, 1, axis)
    return jnp.where(jnp.arange(x.shape[axis]).reshape(shape) < length, x, last)


def pad_by_reflection(x: jax.Array, before: int, after: int, *, axis: int, padded: bool = True) -> jax.Array:
    """Pads an axis by reflection about the image's first and last row or column, repeatedly where it is shorter.

    padded: the image ends where the network's padding ends; False: where the image itself ends.
    """
    canvas = current_canvas()
    if canvas is None:
        padding = [(0, 0)] * x.ndim
        padding[axis] = (before, after)
        return jnp.pad(x, padding, mode="reflect")
    length = canvas.length(x.shape[axis], axis, padded=padded)
    period = jnp.maximum(2 * (length - 1), 1)
    phase = jnp.arange(-before, x.shape[axis] + after) % period
    return jnp.take(x, jnp.minimum(phase, period - phase), axis=axis, mode="clip")
