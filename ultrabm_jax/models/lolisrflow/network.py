"""LoLiSRFlow: joint enhancement and super-resolution by a conditional normalising flow (arXiv 2402.18871).

    c_1..c_L, CR = E(x)            conditions at 1 / 2^k of the restored size, colour ratio map (b, s h, s w, 3)
    z = F(y; c),  y = F^-1(z; c)   y in [0, 1] the restored image, F invertible (flow/)
    z ~ N(squeeze^L(CR), 1)        prior: z = mean + temperature * noise is a sample, temperature 0 the restoration

x is the low-light image in [0, 1]. E receives, at the size of x: log(x + 0.001), the histogram-equalised image, the
colour ratio map and the noise map. Equalisation uses the *whole* image: the data pipeline provides it
(config.data.extra_inputs); without it, the model equalises `low`.

The authors' code was never released. The components and the loss are from the abstract and a public summary; all
other details follow LLFlow and SRFlow, on which the method builds and whose configuration matches the known facts (3
levels, 12 steps, equalisation, colour map). The layers of the encoder are ours. Open points are options:

| point                  | default                  | alternative                             | option                |
|------------------------|--------------------------|-----------------------------------------|-----------------------|
| split after a level    | no (LLFlow)              | after every level but the last (SRFlow) | split                 |
| order in a flow step   | injector first (LLFlow)  | coupling first (as the paper lists)     | order                 |
| colour ratio head      | softmax, which sums to 1 | sigmoid (LLFlow)                        | cr_head               |
| mean of the latent     | predicted CR             | zero                                    | prior                 |
| encoder                | 3 stages of 2 blocks, 64 | any                                     | stages, blocks, width |
| flow; its networks     | 3 levels of 12 steps; 64 | any                                     | levels, steps, hidden |

With `split`, a part of z leaves before the last level. CR stays the mean of all of z: its map is squeezed and split as
y is, and each part is the mean of the part of z that left at the same place. `prior="zero"` has N(0, 1) and no colour
ratio head. `remat` trades time for memory (flow/step_chain.py).

Deviations: any size is accepted (`low` is reflected at the bottom and right to multiples of 4, y accordingly, and the
restored image is cropped). The mean is squeezed in the flow's own order; LLFlow squeezes by a factor of 8 at once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TypedDict

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ultrabm_jax.layers.conv import Conv
from ultrabm_jax.layers.input_maps import equalise, input_maps
from ultrabm_jax.layers.padding import reflect_to_multiple
from ultrabm_jax.models.lolisrflow.encoder import MULTIPLE, ParallelEncoder, PixelShuffleUp
from ultrabm_jax.models.lolisrflow.flow.conditional_flow import ConditionalFlow, Logdets, arrange
from ultrabm_jax.models.lolisrflow.likelihood import bits_per_pixel, log_normal
from ultrabm_jax.typing import Options

VARIANTS: Mapping[str, Options] = {
    "base": {"width": 64, "stages": 3, "blocks": 2, "hidden": 64, "steps": 12},
    "small": {"width": 16, "stages": 2, "blocks": 1, "hidden": 24, "steps": 4},
}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Condition:
    """What E passes to F; H and W are the sides of the padded restored image."""

    features: tuple[jax.Array, ...]  # for each level k, (b, H / 2^k, W / 2^k, width)
    mean: jax.Array  # of the latent, as an image (b, H, W, 3)
    size: tuple[int, int] = dataclasses.field(metadata={"static": True})  # of the restored image, without padding


class Encoded(TypedDict):
    """What `LoLiSRFlow.encode` returns; see there."""

    z: jax.Array
    logdet: jax.Array
    nll: jax.Array
    logdets: Logdets


class Conditioner(nn.Module):
    """E: inputs (b, h, w, 12) -> the conditions of all levels, and the colour ratio map unless `head` is None.

    h and w must be multiples of `MULTIPLE`.
    """

    width: int
    scale: int
    levels: int
    stages: int
    blocks: int
    head: str | None
    remat: bool
    dtype: DTypeLike

    @nn.compact
    def __call__(self, inputs: jax.Array) -> tuple[list[jax.Array], jax.Array | None]:
        encoder = ParallelEncoder(
            self.width, self.stages, self.blocks, remat=self.remat, dtype=self.dtype, name="encoder"
        )
        branches = encoder(inputs)
        conditions = []
        for k in range(1, self.levels + 1):
            r = k + 1 - self.scale.bit_length()  # level k has 1 / 2^r of the size of `low`
            x = branches[max(r, 0)]
            for i in range(1, 1 - r):
                x = PixelShuffleUp(self.width, dtype=self.dtype, name=f"condition{k}_up{i}")(x)
            conditions.append(self._conv(f"condition{k}", self.width, 1)(x))
        return conditions, None if self.head is None else self._ratio(branches[0])

    def _ratio(self, x: jax.Array) -> jax.Array:
        for i in range(1, self.scale.bit_length()):
            x = PixelShuffleUp(self.width, dtype=self.dtype, name=f"ratio_up{i}")(x)
        logits = self._conv("ratio", 3, 3)(x).astype(jnp.float32)
        return jax.nn.softmax(logits) if self.head == "softmax" else jax.nn.sigmoid(logits)

    def _conv(self, name: str, features: int, kernel: int) -> Conv:
        return Conv(features, kernel=kernel, use_bias=True, dtype=self.dtype, name=name)


class LoLiSRFlow(nn.Module):
    """low (b, h, w, 3) in [0, 1], any size -> {"restored", "colour_ratio"}, float32 (b, s h, s w, 3) each.

    "restored" is not clipped; "colour_ratio" is absent without a colour ratio head. `encode` and `decode` are the two
    directions of the flow and `condition` is their common part: `model.apply(variables, y, low, method="encode")`.
    """

    width: int = 64
    hidden: int = 64
    steps: int = 12
    levels: int = 3
    scale: int = 2
    stages: int = 3
    blocks: int = 2
    split: bool = False
    order: str = "injector_first"
    cr_head: str = "softmax"
    prior: str = "ratio"
    remat: str = "none"
    dtype: DTypeLike = jnp.float32

    @property
    def padding(self) -> int:
        """The sides of the low-light image are padded to multiples of this."""
        return max(MULTIPLE, 2**self.levels // self.scale)

    @property
    def has_ratio(self) -> bool:
        """Whether the model predicts the colour ratio map as the mean of the latent."""
        return self.prior == "ratio"

    def setup(self) -> None:
        self.conditioner = Conditioner(
            width=self.width,
            scale=self.scale,
            levels=self.levels,
            stages=self.stages,
            blocks=self.blocks,
            head=self.cr_head if self.has_ratio else None,
            remat=self.remat != "none",
            dtype=self.dtype,
        )
        self.flow = ConditionalFlow(
            levels=self.levels,
            steps=self.steps,
            hidden=self.hidden,
            split=self.split,
            order=self.order,
            remat=self.remat,
        )

    def __call__(
        self, low: jax.Array, *, noise: jax.Array | None = None, equalised: jax.Array | None = None
    ) -> dict[str, jax.Array]:
        """Restores images.

        Args:
          low: (b, h, w, 3) in [0, 1].
          noise: temperature times normal noise (b, s h, s w, 3), for a sample; None is temperature 0.
          equalised: as for `condition`.
        """
        condition = self.condition(low, equalised=equalised)
        out = self.decode(self.latent(condition, noise), low, condition=condition)
        height, width = condition.size
        return out | ({"colour_ratio": condition.mean[:, :height, :width]} if self.has_ratio else {})

    def condition(self, low: jax.Array, *, equalised: jax.Array | None = None) -> Condition:
        """Applies E.

        Args:
          low: (b, h, w, 3) in [0, 1].
          equalised: the equalised image, (b, h, w, 3) in [0, 1]; for a crop, that of the whole image, cropped alike.
            None equalises `low`.
        """
        size = (self.scale * low.shape[1], self.scale * low.shape[2])
        if equalised is None:
            equalised = equalise(self, low)
        low, equalised = (reflect_to_multiple(x, self.padding) for x in (low, equalised))
        features, mean = self.conditioner(input_maps(low, equalised))
        b, h, w, _ = low.shape
        if mean is None:
            mean = jnp.zeros((b, self.scale * h, self.scale * w, 3))
        return Condition(tuple(features), mean, size)

    def encode(
        self,
        y: jax.Array,
        x: jax.Array,
        *,
        equalised: jax.Array | None = None,
        condition: Condition | None = None,
    ) -> Encoded:
        """y (b, s h, s w, 3), given the low-light image x -> latent and likelihood of the padded image.

        Returns:
          z: (b, H / 2^L, W / 2^L, 3 4^L).
          logdet: (b,), log |det dz / dy|.
          nll: (b,), bits per pixel of the density at y (likelihood.py).
          logdets: {"level1/step": (steps, b), ...}, which sum to logdet.
        """
        condition = self.condition(x, equalised=equalised) if condition is None else condition
        z, logdets = self.flow(self.padded(y), condition.features)
        logdet = sum((jnp.sum(part, axis=0) for part in logdets.values()), start=jnp.zeros(z.shape[0]))
        height, width = condition.mean.shape[1:3]
        nll = bits_per_pixel(logdet + log_normal(z, self.latent(condition)), pixels=height * width)
        return {"z": z, "logdet": logdet, "nll": nll, "logdets": logdets}

    def decode(
        self,
        z: jax.Array,
        x: jax.Array,
        *,
        equalised: jax.Array | None = None,
        condition: Condition | None = None,
    ) -> dict[str, jax.Array]:
        """Inverse of `encode`: z, given the low-light image x -> {"restored": (b, s h, s w, 3)}, not clipped."""
        condition = self.condition(x, equalised=equalised) if condition is None else condition
        y, _ = self.flow(z, condition.features, inverse=True)
        height, width = condition.size
        return {"restored": y[:, :height, :width]}

    def latent(self, condition: Condition, noise: jax.Array | None = None) -> jax.Array:
        """Mean of the latent plus `noise`, given as an image (b, s h, s w, 3): (b, H / 2^L, W / 2^L, 3 4^L)."""
        image = condition.mean if noise is None else condition.mean + self.padded(noise)
        return arrange(image, levels=self.levels, split=self.split)

    def padded(self, y: jax.Array) -> jax.Array:
        """Pads an image of the restored size to `scale` times the size of the padded low-light image."""
        return reflect_to_multiple(y, self.scale * self.padding)


CHOICES: Mapping[str, tuple[object, ...]] = {
    "scale": (2, 4),
    "levels": (1, 2, 3),
    "split": (False, True),
    "order": ("injector_first", "coupling_first"),
    "cr_head": ("softmax", "sigmoid"),
    "prior": ("ratio", "zero"),
    "remat": ("none", "steps", "inverse"),
}
