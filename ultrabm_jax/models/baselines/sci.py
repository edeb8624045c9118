"""SCI: fast, flexible and robust low-light enhancement by self-calibrated illumination (Ma et al., CVPR 2022).

    i = clip(x + sigmoid(conv(f + block(f))), 1e-4, 1), f = relu(conv(x))       illumination, per channel
    r = clip(low / i, 0, 1)                                                     restored image

The result is that of the first stage, with x = low and 258 parameters. In training, the input of each further stage is
calibrated by the reflection of the previous one (equation 3): x_t = low + c_t, c_t = calibration(r_{t-1}). `stages=3`
computes these stages too, for comparison with the authors' training network; "restored" does not change.

`block` is a convolution, a batch normalisation and a ReLU. The calibration has width 16 and applies one pair of such
blocks three times with shared weights, as the released code does. Batch normalisation uses the stored statistics.

The authors released three weight files: easy, medium and difficult. SCI neither denoises nor enlarges: `scale` is 1.

Deviation: the release also calibrates after the last stage and discards the result; here it is not computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ultrabm_jax.layers.conv import Conv

CALIBRATION_WIDTH = 16
CALIBRATION_REPEATS = 3


class _Block(nn.Module):
    """Convolution, batch normalisation with stored statistics, ReLU: (b, h, w, any) -> (b, h, w, features)."""

    features: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = Conv(self.features, use_bias=True, dtype=self.dtype, name="conv")(x)
        return nn.relu(nn.BatchNorm(use_running_average=True, epsilon=1e-5, dtype=self.dtype, name="norm")(x))


class Enhancement(nn.Module):
    """x (b, h, w, 3) -> illumination (b, h, w, 3) in [1e-4, 1]."""

    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        f = nn.relu(Conv(3, use_bias=True, dtype=self.dtype, name="conv_in")(x))
        f = f + _Block(3, self.dtype, name="block")(f)
        f = Conv(3, use_bias=True, dtype=self.dtype, name="conv_out")(f).astype(jnp.float32)
        return jnp.clip(x + nn.sigmoid(f), 1e-4, 1)


class Calibration(nn.Module):
    """Reflection (b, h, w, 3) -> (b, h, w, 3) in [-1, 1], to be added to the low-light image."""

    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, reflection: jax.Array) -> jax.Array:
        f = _Block(CALIBRATION_WIDTH, self.dtype, name="block_in")(reflection)
        first, second = (_Block(CALIBRATION_WIDTH, self.dtype, name=name) for name in ("block1", "block2"))
        for _ in range(CALIBRATION_REPEATS):
            f = f + second(first(f))
        f = Conv(3, use_bias=True, dtype=self.dtype, name="conv_out")(f).astype(jnp.float32)
        return reflection - nn.sigmoid(f)


class SCI(nn.Module):
    """low (b, h, w, 3) in [0, 1], any size -> {"restored": (b, h, w, 3) in [0, 1], "illumination": (b, h, w, 3)}.

    Variables: "params" and "batch_stats", of which the latter are never updated. Stage t > 1 sows "calibration{t-1}",
    "input{t}", "illumination{t}" and "reflection{t}" into "intermediates".
    """

    stages: int = 1
    scale: int = 1  # output size over input size
    padding: ClassVar[int] = 1  # the network does not pad images
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, low: jax.Array) -> dict[str, jax.Array]:
        enhance = Enhancement(self.dtype, name="enhancement")
        calibrate = Calibration(self.dtype, name="calibration")  # creates parameters only if it is called
        illumination = enhance(low)
        restored = reflection = jnp.clip(low / illumination, 0, 1)
        for t in range(2, self.stages + 1):
            calibration = self._sow(f"calibration{t - 1}", calibrate(reflection))
            x = self._sow(f"input{t}", low + calibration)
            later = self._sow(f"illumination{t}", enhance(x))
            reflection = self._sow(f"reflection{t}", jnp.clip(low / later, 0, 1))
        return {"restored": restored, "illumination": illumination}

    def _sow(self, name: str, x: jax.Array) -> jax.Array:
        self.sow("intermediates", name, x)
        return x


CHOICES: Mapping[str, tuple[object, ...]] = {"stages": (1, 3), "scale": (1,)}
