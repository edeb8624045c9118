"""The conditional flow of LoLiSRFlow, SRFlow and LLFlow.

    level k: (h, w, c) -> squeeze -> (h / 2, w / 2, 4 c) -> 2 transitions -> `steps` flow steps [-> split]

Squeeze moves 2x2 pixels into channels, in the order c * 4 + dy * 2 + dx. Level k has 1 / 2^k of the image's size.
"""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from ultrabm_jax.layers.pixel_shuffle import pixel_shuffle, pixel_unshuffle
from ultrabm_jax.models.lolisrflow.flow.flow_step import FlowStep, Transition
from ultrabm_jax.models.lolisrflow.flow.gaussian_split import Split
from ultrabm_jax.models.lolisrflow.flow.step_chain import Chain

Logdets = dict[str, jax.Array]  # for example "level1/step" -> (steps, b)


def arrange(image: jax.Array, *, levels: int, split: bool) -> jax.Array:
    """Image (b, h, w, c) -> z (b, h / 2^L, w / 2^L, c 4^L): the flow's squeezes and splits without its steps."""
    z, left = image, []
    for k in range(1, levels + 1):
        z = pixel_unshuffle(z, 2)
        if split and k < levels:
            z, removed = jnp.split(z, [z.shape[-1] // 2], axis=-1)
            left.append(pixel_unshuffle(removed, 2 ** (levels - k)))
    return jnp.concatenate([*left, z], axis=-1)


class ConditionalFlow(nn.Module):
    """Image y (b, h, w, c) -> latent z (b, h / 2^L, w / 2^L, c 4^L) in L levels; `inverse=True` maps z to y.

    With `split`, half of the channels leave after every level but the last. They are squeezed to the size of the last
    level and precede its channels in z, so z has the same shape with and without `split`.
    """

    levels: int = 3
    steps: int = 12
    hidden: int = 64
    transitions: int = 2
    split: bool = False
    order: str = "injector_first"
    remat: str = "none"

    @nn.compact
    def __call__(
        self, x: jax.Array, conditions: Sequence[jax.Array], *, inverse: bool = False
    ) -> tuple[jax.Array, Logdets]:
        """Maps y to z, or z to y, and returns the log-determinants by level and kind.

        Args:
          x: y, or z with `inverse=True`.
          conditions: of each level k, (b, h / 2^k, w / 2^k, any).
          inverse: direction.
        """
        conditions = [condition.astype(jnp.float32) for condition in conditions]
        return (self._decode if inverse else self._encode)(x.astype(jnp.float32), conditions)

    def _encode(self, y: jax.Array, conditions: Sequence[jax.Array]) -> tuple[jax.Array, Logdets]:
        z, left, logdets = y, [], {}
        for k, condition in enumerate(conditions, start=1):
            z = pixel_unshuffle(z, 2)
            for kind in ("transition", "step"):
                z, logdets[f"level{k}/{kind}"] = self._chain(k, kind)(z, condition)
            if self._splits(k):
                z, e, logdet = self._split_of(k, z.shape[-1])(z)
                left.append(pixel_unshuffle(e, 2 ** (self.levels - k)))
                logdets[f"level{k}/split"] = logdet[None]
        return jnp.concatenate([*left, z], axis=-1), logdets

    def _decode(self, z: jax.Array, conditions: Sequence[jax.Array]) -> tuple[jax.Array, Logdets]:
        left, z = self._separate(z)
        logdets = {}
        for k, condition in reversed(list(enumerate(conditions, start=1))):
            if self._splits(k):
                e = pixel_shuffle(left.pop(), 2 ** (self.levels - k))
                z, logdet = self._split_of(k, z.shape[-1] + e.shape[-1]).join(z, e)
                logdets[f"level{k}/split"] = logdet[None]
            for kind in ("step", "transition"):
                z, logdets[f"level{k}/{kind}"] = self._chain(k, kind)(z, condition, inverse=True)
            z = pixel_shuffle(z, 2)
        return z, logdets

    def _splits(self, k: int) -> bool:
        return self.split and k < self.levels

    def _chain(self, k: int, kind: str) -> Chain:
        if kind == "transition":
            return Chain(Transition, (), self.transitions, self.remat, name=f"level{k}_transition")
        options = (("hidden", self.hidden), ("order", self.order))
        return Chain(FlowStep, options, self.steps, self.remat, name=f"level{k}_step")

    def _split_of(self, k: int, channels: int) -> Split:
        return Split(channels, name=f"level{k}_split")

    def _separate(self, z: jax.Array) -> tuple[list[jax.Array], jax.Array]:
        """z -> the channels that left at each level, squeezed, and those of the last level."""
        left, rest = [], z
        for k in range(1, self.levels + 1):
            if self._splits(k):
                removed = rest.shape[-1] - rest.shape[-1] // 2
                left.append(rest[..., :removed])
                rest = rest[..., removed:]
        return left, rest
