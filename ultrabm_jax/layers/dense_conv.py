"""Dense convolution whose kernel gradient, and whose 1x1 form, are fast on CPUs.

XLA computes the gradient of a kernel as a convolution whose window is the whole image, which is slow on a CPU unless
the channels are multiples of 32. A loop over blocks of columns, with matrix products on patches that fit into the
cache, gives the same result up to rounding. Measured on one core: 5x5, 24 to 12 channels at 256x256 takes 19 ms instead
of 137 ms, 3x3, 44 to 44 channels at 8x32x32 4.3 ms instead of 4.9 ms, 16 to 16 channels at 160x160 2.7 ms instead of
14 ms (docs/log/benchmarks.md). Other platforms keep XLA's form.

A 1x1 convolution is a product of matrices on every platform. On a CPU it takes half of the time of XLA's convolution to
as long, with many channels, and the gradient of its kernel a fifth to four fifths.

XLA's CPU code is slow for at most 16 input and 16 output channels, since its fast library is used for more only, and
for 9 to 15 output channels. There, a convolution computes runs of two or four neighbouring columns as the channels of
one position, with a kernel that is one or three columns wider and a stride as long as the run: on two cores, 5x5, 4 to
12 channels at 256x256 takes 1.8 ms instead of 3.9 ms, 3x3, 16 to 16 channels at 320x320 3.7 ms instead of 4.6 ms. In
memory, the channels of a run are its columns, so that the result is not moved.
"""

from __future__ import annotations

import functools
from typing import Protocol

import jax
import jax.numpy as jnp

from ultrabm_jax.layers.by_platform import by_platform

MIN_PIXELS = 16 * 16  # h * w from which on the loop is used
FAST_CHANNELS = 32  # XLA's form is faster if the numbers of input and output channels are multiples of this
SLOW_CHANNELS = 16  # XLA's CPU form is slow up to this number of input and output channels
BLOCK_BYTES = 2**21  # of the patches of a block: below, two threads share too little work; above, caches overflow


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def convolve(x: jax.Array, kernel: jax.Array, stride: int = 1) -> jax.Array:
    """Zero-padded convolution with an odd kernel.

    x (b, h, w, c), kernel (k, k, c, features) -> (b, ceil(h / stride), ceil(w / stride), features).
    """
    if kernel.shape[0] == 1 and stride == 1:
        return jnp.einsum("bhwc,cf->bhwf", x, kernel[0, 0])
    if (run := _run_of_columns(x, kernel, stride)) > 1:
        return by_platform(x, kernel, cpu=functools.partial(_convolve_by_runs, run=run), default=xla_convolve)
    return xla_convolve(x, kernel, stride=stride)


def _run_of_columns(x: jax.Array, kernel: jax.Array, stride: int) -> int:
    """How many columns a CPU computes as the channels of one position; 1: XLA's form is faster."""
    size, _, channels, features = kernel.shape
    slow = max(channels, features) <= SLOW_CHANNELS or SLOW_CHANNELS // 2 < features < SLOW_CHANNELS
    if size == 1 or stride > 1 or not slow or x.dtype != jnp.float32:
        return 1
    longest = 4 if features <= SLOW_CHANNELS // 2 else 2
    return next((n for n in (4, 2) if n <= longest and x.shape[2] % n == 0), 1)  # a side may be a symbol (export)


def _convolve_by_runs(x: jax.Array, kernel: jax.Array, *, run: int) -> jax.Array:
    size, _, _, features = kernel.shape
    pad = size // 2
    # Column i of a run sees the window that starts at column i: its kernel is shifted by i.
    shifted = [jnp.pad(kernel, ((0, 0), (i, run - 1 - i), (0, 0), (0, 0))) for i in range(run)]
    y = jax.lax.conv_general_dilated(
        x,
        jnp.concatenate(shifted, axis=-1),
        window_strides=(1, run),
        padding=((pad, pad), (pad, pad)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    return y.reshape(*x.shape[:3], features)


def xla_convolve(
    x: jax.Array, kernel: jax.Array, *, stride: int = 1, precision: jax.lax.Precision | None = None
) -> jax.Array:
    """Zero-padded convolution with an odd kernel, shapes as `convolve`; XLA's convolution with autodiff's gradients."""
    pad = kernel.shape[0] // 2
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=((pad, pad), (pad, pad)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision=precision,
    )


def _forward(x: jax.Array, kernel: jax.Array, stride: int) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return convolve(x, kernel, stride), (x, kernel)


def _backward(stride: int, residuals: tuple[jax.Array, jax.Array], dy: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = residuals
    if kernel.shape[0] == 1 and stride == 1:
        dx = convolve(dy, kernel.swapaxes(2, 3))
    elif _run_of_columns(dy, flipped := kernel[::-1, ::-1].swapaxes(2, 3), stride) > 1:
        dx = convolve(dy, flipped)
    else:
        (dx,) = jax.linear_transpose(lambda x: xla_convolve(x, kernel, stride=stride), x)(dy)
    default = functools.partial(_kernel_gradient_by_xla, stride=stride)
    by_products = _kernel_gradient_by_products(x.shape, kernel.shape)
    on_cpu = functools.partial(by_products, stride=stride) if by_products else None
    return dx, by_platform(x, dy, kernel, cpu=on_cpu, default=default)


class KernelGradient(Protocol):
    """Gradient of a kernel given the input, the cotangent of the output and the kernel."""

    def __call__(self, x: jax.Array, dy: jax.Array, kernel: jax.Array, *, stride: int) -> jax.Array: ...


def _kernel_gradient_by_products(shape: tuple[int, ...], kernel: tuple[int, ...]) -> KernelGradient | None:
    """The form that is faster than XLA's for these shapes of input and kernel on a CPU; None: XLA's is."""
    if _is_partitioned():
        return None
    if kernel[0] == 1:
        return _kernel_gradient_by_one_product
    large, fast = shape[1] * shape[2] >= MIN_PIXELS, all(c % FAST_CHANNELS == 0 for c in kernel[2:])
    return _kernel_gradient_by_blocks if large and not fast else None


def _is_partitioned() -> bool:
    """Whether the mesh in context (jax.set_mesh) splits arrays over devices here, other than in a shard_map.

    Sums over a split axis would be communicated in each iteration of the loop. Arrays that are split without a mesh in
    context get the loop: right, but slow.
    """
    mesh = jax.sharding.get_abstract_mesh()
    return any(size > 1 for axis, size in mesh.shape.items() if axis not in mesh.manual_axes)


def _kernel_gradient_by_xla(x: jax.Array, dy: jax.Array, kernel: jax.Array, *, stride: int) -> jax.Array:
    (dk,) = jax.linear_transpose(lambda kernel: xla_convolve(x, kernel, stride=stride), kernel)(dy)
    return dk


def _kernel_gradient_by_one_product(x: jax.Array, dy: jax.Array, kernel: jax.Array, *, stride: int) -> jax.Array:
    pixels = x[:, ::stride, ::stride].astype(jnp.float32).reshape(-1, x.shape[-1])
    dy_t = dy.astype(jnp.float32).reshape(-1, dy.shape[-1]).T
    return jnp.dot(dy_t, pixels).T.reshape(kernel.shape).astype(kernel.dtype)


def _kernel_gradient_by_blocks(x: jax.Array, dy: jax.Array, kernel: jax.Array, *, stride: int) -> jax.Array:
    size, _, channels, features = kernel.shape
    h, w = dy.shape[1:3]
    pad, rows = size // 2, stride * (h - 1) + 1
    block = _columns_of_a_block(w, bytes_of_column=4 * dy.shape[0] * h * size * channels)
    columns = stride * (block - 1) + 1
    padded = jnp.pad(x.astype(jnp.float32), ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    dy = dy.astype(jnp.float32)

    def add(start: jax.Array, total: jax.Array) -> jax.Array:
        # As the left factor, dy is transposed once for all products.
        dy_t = jax.lax.dynamic_slice_in_dim(dy, start * block, block, axis=2).reshape(-1, features).T
        part = jax.lax.dynamic_slice_in_dim(padded, start * block * stride, columns + 2 * pad, axis=2)
        patches = jnp.concatenate([part[:, i : i + rows : stride] for i in range(size)], axis=-1)
        taps = (patches[:, :, j : j + columns : stride].reshape(-1, size * channels) for j in range(size))
        return total + jnp.stack([jnp.dot(dy_t, tap) for tap in taps])

    total = jax.lax.fori_loop(0, w // block, add, jnp.zeros((size, features, size * channels)))
    return total.reshape(size, features, size, channels).transpose(2, 0, 3, 1).astype(kernel.dtype)


def _columns_of_a_block(width: int, *, bytes_of_column: int) -> int:
    """The largest divisor of the width whose patches, of rows side by side, take at most BLOCK_BYTES; at least 1.

    Of sizes that are symbols (export), which cannot be ordered: the first of 8, 4, 2, 1.
    """
    if not (isinstance(width, int) and isinstance(bytes_of_column, int)):
        return next(n for n in (8, 4, 2, 1) if width % n == 0)
    most = max(1, BLOCK_BYTES // max(bytes_of_column, 1))  # an empty batch has 0 bytes
    return max(n for n in range(1, min(width, most) + 1) if width % n == 0)


convolve.defvjp(_forward, _backward)
