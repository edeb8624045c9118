"""Dense convolution with its own gradient against XLA's, above and below the size where blocks of columns are used."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from ultrabm_jax.layers import dense_conv
from ultrabm_jax.layers.dense_conv import convolve


def plain(x, kernel, stride):
    pad = (kernel.shape[0] // 2,) * 2
    return jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), (pad, pad), dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def gradients(function, x, kernel, stride):
    """Value and gradients with respect to x and the kernel of a sum that weights every output differently."""

    def loss(x, kernel):
        y = function(x, kernel, stride)
        return jnp.sum(jnp.sin(y + jnp.arange(y.size).reshape(y.shape) % 7))

    return jax.value_and_grad(loss, argnums=(0, 1))(x, kernel)


@pytest.mark.parametrize("pixels", [1, 10**9], ids=["blocks", "xla"])
@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(9, 8), (1, 7), (6, 6)])
def test_value_and_gradients_equal_xlas(monkeypatch, pixels, kernel, stride, size):
    monkeypatch.setattr(dense_conv, "MIN_PIXELS", pixels)
    monkeypatch.setattr(dense_conv, "BLOCK_BYTES", 2**13)  # several blocks, or one column in each
    rng = np.random.default_rng(0)
    x, weights = rng.normal(size=(2, *size, 9)), rng.normal(size=(kernel, kernel, 9, 8))
    x, weights = x.astype(np.float32), weights.astype(np.float32)
    both = jax.jit(lambda x, weights: [gradients(f, x, weights, stride) for f in (convolve, plain)])
    ours, theirs = both(x, weights)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-4), ours, theirs)


@pytest.mark.parametrize(("channels", "features"), [(16, 16), (3, 16), (16, 3), (24, 12), (8, 8)])
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("size", [(9, 8), (1, 6), (24, 17)])
def test_runs_of_columns_equal_xlas(channels, features, kernel, size):
    rng = np.random.default_rng(0)
    x, weights = rng.normal(size=(2, *size, channels)), rng.normal(size=(kernel, kernel, channels, features))
    weights /= kernel * channels**0.5  # values near 1, whose rounding errors are small
    x, weights = x.astype(np.float32), weights.astype(np.float32)
    both = jax.jit(lambda x, weights: [gradients(f, x, weights, 1) for f in (convolve, plain)])
    ours, theirs = both(x, weights)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5), ours, theirs)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
def test_only_cpus_convolve_runs_of_columns_and_only_in_float32(platform, dtype):
    x, kernel = jnp.zeros((1, 8, 8, 16), dtype), jnp.zeros((3, 3, 16, 16), dtype)
    step = jax.jit(jax.grad(lambda x: convolve(x, kernel).astype(jnp.float32).sum()))
    text = step.trace(x).lower(lowering_platforms=(platform,)).as_text()
    assert ("3x4x16x32x" in text) == (platform == "cpu" and dtype == jnp.float32)


@pytest.mark.parametrize(
    ("width", "bytes_of_column", "columns"), [(48, 2**16, 24), (48, 2**22, 1), (47, 2**17, 1), (64, 1, 64)]
)
def test_columns_of_a_block(width, bytes_of_column, columns):
    assert dense_conv._columns_of_a_block(width, bytes_of_column=bytes_of_column) == columns


def test_gradients_of_an_empty_batch():
    x, kernel = jnp.zeros((0, 16, 16, 9)), jnp.ones((3, 3, 9, 8))
    dx, dk = jax.grad(lambda x, k: convolve(x, k).sum(), argnums=(0, 1))(x, kernel)
    assert dx.shape == x.shape
    np.testing.assert_array_equal(dk, jnp.zeros_like(kernel))


@pytest.mark.parametrize(
    ("sizes", "constraints", "size"),
    [
        ("b, 20, 12", (), (2, 20, 12)),
        ("b, h, 13", ("h >= 20",), (2, 21, 13)),
        ("b, h, w", ("h*w >= 256",), (1, 20, 13)),
        ("1, h, 4*w", ("h*w >= 64",), (1, 20, 16)),
    ],
)
def test_gradients_are_exported_with_symbolic_sizes(sizes, constraints, size):
    symbols = export.symbolic_shape(sizes, constraints=constraints)
    shapes = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((*symbols, 9), (3, 3, 9, 8))]

    def both(x, kernel):
        return [gradients(f, x, kernel, 1) for f in (convolve, plain)]

    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(*size, 9)), rng.normal(size=(3, 3, 9, 8))
    call = export.export(jax.jit(both), platforms=["cpu"])(*shapes).call
    ours, theirs = call(x.astype(np.float32), kernel.astype(np.float32))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-4), ours, theirs)


@pytest.mark.parametrize(
    ("channels", "features", "width", "run"),
    [(16, 16, 8, 2), (16, 16, 7, 1), (3, 8, 8, 4), (3, 8, 6, 2), (24, 12, 8, 2), (24, 16, 8, 1), (24, 3, 8, 1)],
)
def test_length_of_a_run(channels, features, width, run):
    text = jax.jit(convolve).lower(jnp.zeros((1, 8, width, channels)), jnp.zeros((3, 3, channels, features))).as_text()
    assert f"3x{2 + run}x{channels}x{run * features}x" in text


def test_only_one_of_the_two_forms_is_compiled():
    """Convolutions behind a conditional would be slow."""
    x, kernel = jnp.zeros((1, 64, 64, 8)), jnp.zeros((3, 3, 8, 8))
    lowered = jax.jit(jax.grad(lambda k: convolve(x, k).sum())).lower(kernel)
    assert "conditional" not in lowered.compile().as_text()


def test_bfloat16_keeps_its_type_and_sums_in_float32():
    x = jnp.full((1, 64, 64, 8), 1 + 2**-7, jnp.bfloat16)
    slope = jax.jit(jax.grad(lambda k: convolve(x, k).sum().astype(jnp.float32)))(jnp.zeros((3, 3, 8, 8), jnp.bfloat16))
    assert slope.dtype == jnp.bfloat16
    assert float(slope[1, 1, 0, 0]) == pytest.approx(64 * 64 * (1 + 2**-7), rel=2**-8)


GRADIENT_ON_EIGHT = """
import jax, jax.numpy as jnp
from ultrabm_jax.layers import dense_conv
dense_conv.BLOCK_BYTES = 2**15
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from ultrabm_jax.layers.dense_conv import convolve
mesh = Mesh(jax.devices(), ("devices",))
jax.set_mesh(mesh)
kernel = jax.ShapeDtypeStruct((3, 3, 8, 8), jnp.float32, sharding=NamedSharding(mesh, PartitionSpec()))
for batch, axes in ((8, ("devices",)), (1, (None, "devices"))):
    x = jax.ShapeDtypeStruct((batch, 32, 16, 8), jnp.float32, sharding=NamedSharding(mesh, PartitionSpec(*axes)))
    gradient = jax.grad(lambda k, x: jnp.sum(jnp.sin(convolve(x, k))))
    print(jax.jit(gradient).lower(kernel, x).compile().as_text())
"""


def test_a_sharded_batch_or_height_stays_sharded(python):
    done = python("-c", GRADIENT_ON_EIGHT, devices=8)
    assert done.returncode == 0, done.stderr[-3000:]
    assert " while(" not in done.stdout  # sums over devices in a loop
    assert "all-gather" not in done.stdout
    assert done.stdout.count(" all-reduce(") == 2


GRADIENT_OF_EACH_OF_EIGHT = """
import jax, jax.numpy as jnp
from ultrabm_jax.layers import dense_conv
dense_conv.BLOCK_BYTES = 2**15
from jax.sharding import Mesh, PartitionSpec
from ultrabm_jax.layers.dense_conv import convolve
jax.set_mesh(Mesh(jax.devices(), ("devices",)))
def own(kernel, x):
    return jax.lax.pmean(jax.grad(lambda kernel: jnp.sum(jnp.sin(convolve(x, kernel))))(kernel), "devices")
specs = PartitionSpec(), PartitionSpec("devices")
mean = jax.shard_map(own, in_specs=specs, out_specs=PartitionSpec(), check_vma=False)
print(jax.jit(mean).lower(jnp.zeros((3, 3, 8, 8)), jnp.zeros((8, 32, 16, 8))).compile().as_text())
"""


def test_each_device_of_a_split_batch_loops_over_blocks(python):
    done = python("-c", GRADIENT_OF_EACH_OF_EIGHT, devices=8)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count(" while(") == 1
    assert done.stdout.count(" all-reduce(") == 1
