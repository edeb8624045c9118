"""RED: restoring extremely dark images in real time (Lamba and Mitra, CVPR 2021). Raw mosaic in, RGB image out.

    p   = one channel per position of the mosaic's 2x2 cell                     (b, h/2, w/2, 4)
    LSE = conv(p)                                                               (b, h/2, w/2, 12)
    MSE = residual block of p unshuffled by 4                                   (b, h/8, w/8, 64)
    HSE = grouped convolution and three RDB* of p unshuffled by 16, upsampled   (b, h/8, w/8, 64)
    FB1 = convolutions of the shuffled channels of MSE and HSE, upsampled       (b, h/2, w/2, 12)
    FB2 = conv(LSE, FB1), upsampled                                             (b, h, w, 3)

The input is the mosaic minus its black level, divided by the white level and multiplied by the amplification
(raw/amplification.py): 0 to far above 1. The channels of p are in reading order, R G G B for an RGGB sensor, not in
SID's order.

`variant` selects which source to follow where the paper and the released network disagree; each point also has its own
option:

| point                       | variant="code" | variant="paper"       | option        |
|-----------------------------|----------------|-----------------------|---------------|
| kernel of LSE               | 5              | 7                     | lse_kernel    |
| layers of the three RDB*    | 4, 5, 5        | 5, 5, 5               | dense_layers  |
| LReLU before the last layer | slope 1 (none) | slope 0.2             | last_slope    |
| HSE groups see              | one colour     | all colours           | hse_shuffle   |

HSE's reduction of 1024 channels to 64: section 3.1.2 and equation 2 have one grouped convolution
(`hse_reduction="one"`, which `preset="paper"` sets beside the variant); both variants use the release's two
convolutions, the first of them grouped ("two"). From the
code, because the paper does not describe them: the 1x1 fusion of the three RDB*, its skip connection, and FB2's 5x5
kernel. Ablation of section 4.6: `rdb="canonical"`. Table 1's 0.78 M parameters and 59.8 G operations are the code's.

X-Trans sensors: "mosaic" feeds the same network, as the paper's operation count implies, although 2x2 cells cut across
the 6x6 pattern. "pack9" (ours) packs nine channels at a third of the size, in SID's order, with encoders 9/4 as wide.

Weight normalisation is the training form; `weight_norm=False` expects the parameters of `fold_weight_norm`.

Deviations from the release: any size is accepted (padded at the bottom and right in the mosaic's phase, then cropped;
the release crops the input to multiples of 32); `clip_in_train=False` passes gradients of values outside [0, 1].
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from ultrabm_jax.layers import tiled_pixel_shuffle
from ultrabm_jax.layers.by_platform import by_platform
from ultrabm_jax.layers.conv import leaky_relu
from ultrabm_jax.layers.grouped_conv import channel_shuffle
from ultrabm_jax.layers.pixel_shuffle import pixel_shuffle, pixel_unshuffle, shuffle_to_cells
from ultrabm_jax.models.red.dense_block import SLOPE, DenseBlock
from ultrabm_jax.models.red.weight_norm import WeightNormConv
from ultrabm_jax.raw.cfa import PERIOD
from ultrabm_jax.raw.packing import pack_xtrans
from ultrabm_jax.typing import Options, Params

WIDTH = 64  # channels of HSE
CELL = 4  # side of the cells of LSE's pixels that are one pixel of MSE
SMALL_CELL = 2  # side of the cells on which LSE and FB2 are fastest on CPUs
GROUP = 8  # input channels of one filter of HSE's grouped convolution

VARIANTS: Mapping[str, Options] = {
    "code": {"lse_kernel": 5, "dense_layers": (4, 5, 5), "last_slope": 1.0, "hse_shuffle": False},
    "paper": {"lse_kernel": 7, "dense_layers": (5, 5, 5), "last_slope": SLOPE, "hse_shuffle": True},
}


class RED(nn.Module):
    """Amplified mosaic (b, h, w, 1) of any size -> {"restored": (b, h, w, 3) float32 in [0, 1]}.

    The blocks can be applied one by one, `model.apply(variables, mosaic, method="lse")`: `lse`, `mse` and `hse` take a
    mosaic whose sides are multiples of `multiple`, `fb1` and `fb2` their outputs. Intermediate features are sown into
    "intermediates".
    """

    lse_kernel: int = 5
    dense_layers: tuple[int, ...] = (4, 5, 5)
    last_slope: float = 1.0
    hse_shuffle: bool = False
    hse_reduction: str = "two"
    rdb: str = "star"
    xtrans: str = "mosaic"
    weight_norm: bool = True
    icnr: bool = False
    clip_input: bool = False  # clip amplified mosaics at 1, as SID (Chen et al. 2018) does
    clip_in_train: bool = True
    scale: int = 1  # output size over input size
    dtype: DTypeLike = jnp.float32

    @property
    def factor(self) -> int:
        """Side of the cell of samples that becomes one pixel of LSE, and factor of the last pixel shuffle."""
        return 3 if self.xtrans == "pack9" else 2

    @property
    def period(self) -> int:
        """Period of the colour filter array that the network expects, in samples."""
        return PERIOD["xtrans" if self.xtrans == "pack9" else "bayer"]

    @property
    def multiple(self) -> int:
        """The sides of a mosaic are padded to multiples of this."""
        return 16 * self.factor

    @property
    def padding(self) -> int:
        """The sides of the image are padded to multiples of this."""
        return self.multiple

    def setup(self) -> None:
        conv = functools.partial(WeightNormConv, weight_norm=self.weight_norm, dtype=self.dtype)
        planes = 9 if self.xtrans == "pack9" else 4
        cell = 4 if self.icnr else 1
        self.lse_conv = conv(12, kernel=self.lse_kernel)
        self.mse_conv1 = conv(16 * planes, slope=SLOPE)
        self.mse_conv2 = conv(16 * planes)
        if self.hse_reduction == "two":
            self.hse_grouped = conv(256 * planes // GROUP, groups=256 * planes // GROUP)
            self.hse_reduce = conv(WIDTH, cell=cell)
        else:
            self.hse_grouped = conv(WIDTH, groups=WIDTH, cell=cell)
        self.hse_blocks = [
            DenseBlock(conv, layers, last_slope=self.last_slope, canonical=self.rdb == "canonical")
            for layers in self.dense_layers
        ]
        self.hse_fuse = conv(WIDTH, kernel=1, use_bias=False, cell=cell)
        self.hse_expand = conv(16 * planes)
        self.fb1_grouped = conv(32, groups=4, interleave=2)
        self.fb1_conv = conv(192, slope=SLOPE, cell=cell)
        self.fb2_conv = conv(3 * self.factor**2, kernel=5, cell=self.factor if self.icnr else 1)

    def __call__(self, low: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:
        """Restores a mosaic. With `train=True` and `clip_in_train=False` the result is not clipped to [0, 1]."""
        h, w = low.shape[1:3]
        mosaic = pad_mosaic(jnp.minimum(low, 1) if self.clip_input else low, self.multiple, period=self.period)
        if self.is_initializing() or self.is_mutable_collection("intermediates"):
            restored = self.by_blocks(mosaic)
        else:
            apply, params = self.clone(parent=None).apply, self.variables["params"]

            def form(name: str) -> Callable[[Params, jax.Array], jax.Array]:
                return lambda params, x: apply({"params": params}, x, method=name)

            # On a CPU, gradients of the kernels of cells take longer than is saved.
            on_cpu = None if train else form("by_small_cells")
            restored = by_platform(params, mosaic, tpu=form("by_large_cells"), cpu=on_cpu, default=form("by_blocks"))
        restored = restored[:, :h, :w].astype(jnp.float32)
        return {"restored": restored if train and not self.clip_in_train else jnp.clip(restored, 0, 1)}

    def by_blocks(self, mosaic: jax.Array) -> jax.Array:
        """(b, h, w, 1), sides multiples of `multiple` -> (b, h, w, 3), not clipped."""
        return self.fb2(self.lse(mosaic), self.fb1(self.mse(mosaic), self.hse(mosaic)))

    def by_small_cells(self, mosaic: jax.Array) -> jax.Array:
        """`by_blocks` up to the order of sums, with LSE and FB2 on cells of 2x2 (layers/cell_conv.py); for CPUs."""
        planes, fb1 = self._planes(mosaic), self._fb1(self.mse(mosaic), self.hse(mosaic))
        if self.lse_kernel <= 2 * SMALL_CELL + 1:
            lse = self.lse_conv(pixel_unshuffle(planes, SMALL_CELL), pixels=SMALL_CELL)
        else:
            lse = pixel_unshuffle(self.lse_conv(planes), SMALL_CELL)
        features = jnp.concatenate([lse, shuffle_to_cells(fb1, CELL, SMALL_CELL)], axis=-1)
        return pixel_shuffle(self.fb2_conv(features, pixels=SMALL_CELL), SMALL_CELL, self.factor)

    def by_large_cells(self, mosaic: jax.Array) -> jax.Array:
        """`by_blocks` up to the order of sums, with LSE and FB2 on cells of 4x4; for TPUs."""
        packed, factors = (self._planes(mosaic), ()) if self.xtrans == "pack9" else (mosaic, (self.factor,))
        cells = tiled_pixel_shuffle.pixel_unshuffle(packed, *factors, CELL)
        mse, hse = self._mse(cells), self._hse(tiled_pixel_shuffle.pixel_unshuffle(packed, *factors, 16))
        features = jnp.concatenate([self.lse_conv(cells, pixels=CELL), self._fb1(mse, hse)], axis=-1)
        return tiled_pixel_shuffle.pixel_shuffle(self.fb2_conv(features, pixels=CELL), CELL, self.factor)

    def lse(self, mosaic: jax.Array) -> jax.Array:
        """Lower scale encoder: (b, h, w, 1) -> (b, h/2, w/2, 12); one convolution, no activation."""
        return self._sow("lse", self.lse_conv(self._planes(mosaic)))

    def mse(self, mosaic: jax.Array) -> jax.Array:
        """Medium scale encoder: (b, h, w, 1) -> (b, h/8, w/8, 64)."""
        return self._mse(pixel_unshuffle(self._planes(mosaic), CELL))

    def _mse(self, x: jax.Array) -> jax.Array:
        x = x.astype(self.dtype)
        return self._sow("mse", x + self.mse_conv2(leaky_relu(self.mse_conv1(x))))

    def hse(self, mosaic: jax.Array) -> jax.Array:
        """Higher scale encoder: (b, h, w, 1) -> (b, h/8, w/8, 64), computed at 1/32 of the size."""
        return self._hse(pixel_unshuffle(self._planes(mosaic), 16))

    def _hse(self, x: jax.Array) -> jax.Array:
        x = self.hse_grouped(channel_shuffle(x, x.shape[-1] // 16**2) if self.hse_shuffle else x)
        x = skip = self._sow("hse_h0", self.hse_reduce(x) if self.hse_reduction == "two" else x)
        outputs = []
        for k, block in enumerate(self.hse_blocks, start=1):
            x = self._sow(f"rdb{k}", block(x))
            outputs.append(x)
        x = self._sow("rdball", self.hse_fuse(jnp.concatenate(outputs, axis=-1)))
        x = self._sow("hse_fused", x + skip)
        return self._sow("hse_out", self.hse_expand(pixel_shuffle(x, 4)))

    def fb1(self, mse: jax.Array, hse: jax.Array) -> jax.Array:
        """Fuse block 1: two (b, h/8, w/8, 64) -> (b, h/2, w/2, 12)."""
        return self._sow("fb1", pixel_shuffle(self._fb1(mse, hse), CELL))

    def _fb1(self, mse: jax.Array, hse: jax.Array) -> jax.Array:
        x = jnp.concatenate([mse, hse], axis=-1)
        self.sow("intermediates", "fb1_in_shuffled", channel_shuffle(x, 2))
        x = self.fb1_grouped(x)  # shuffles the channels itself (`interleave`)
        return leaky_relu(self.fb1_conv(x))

    def fb2(self, lse: jax.Array, fb1: jax.Array) -> jax.Array:
        """Fuse block 2: two (b, h/2, w/2, 12) -> (b, h, w, 3), not clipped."""
        x = self._sow("fb2_preshuffle", self.fb2_conv(jnp.concatenate([lse, fb1], axis=-1)))
        return pixel_shuffle(x, self.factor)

    def _planes(self, mosaic: jax.Array) -> jax.Array:
        return pack_xtrans(mosaic[..., 0]) if self.xtrans == "pack9" else pixel_unshuffle(mosaic, 2)

    def _sow(self, name: str, x: jax.Array) -> jax.Array:
        self.sow("intermediates", name, x)
        return x


def pad_mosaic(mosaic: jax.Array, multiple: int, *, period: int) -> jax.Array:
    """Pads the bottom and right of (b, h, w, 1) to multiples of `multiple`, in phase with the colour filter array.

    For a period of 2, reflection about the last sample keeps the phase; otherwise the last whole period is repeated.
    """
    rows, columns = (-side % multiple for side in mosaic.shape[1:3])
    if period == 2:
        return jnp.pad(mosaic, ((0, 0), (0, rows), (0, columns), (0, 0)), mode="reflect")
    for axis, padding in ((1, rows), (2, columns)):
        size = mosaic.shape[axis]
        source = size - period + np.arange(padding) % period
        mosaic = jnp.take(mosaic, np.concatenate([np.arange(size), np.maximum(source, 0)]), axis=axis)
    return mosaic


CHOICES: Mapping[str, tuple[object, ...]] = {
    "hse_reduction": ("two", "one"),
    "rdb": ("star", "canonical"),
    "xtrans": ("mosaic", "pack9"),
    "scale": (1,),
}
