"""DRGN's generators: image (b, h, w, 3) of any size -> map of the same size, not clipped.

Level 1 is the full size, level i has 1/2^(i-1) of it; C is the width, equal at all levels.

The paper gives few widths and layers. Ours reproduce its parameter and operation counts (network.py) and were found
among 17,280 structural variants: no convolution has a bias, every activation is a PReLU, C = 64.
"""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ultrabm_jax.layers.padding import reflect_to_multiple
from ultrabm_jax.models.drgn.pyramid import downsample
from ultrabm_jax.models.drgn.rcab import RCAB, ChannelAttention, Style


class MFN(nn.Module):
    """Multi-resolution fusion network (MFN), section 2.4 and Figure 3.

    f_ini^i = conv(x at level i)                                                              equation 10
    f_msr^i = conv[f_ini^i, strided conv(f_msr^(i-1))], f_msr^1 = f_ini^1                     equation 11
    f_long^i = conv1x1[groups[i] times depths[i] RCABs(f_msr^i), f_msr^i]                     equation 12
    y = f_long^1, then y = conv1x1[y, f_long^i enlarged to full size] for i = 2, 3 ...        equation 13
    out = conv(y)

    Equation 11 gives level i the features of all finer levels; here they arrive through the next finer level. Ours:
    each group of depths[i] RCABs has a skip connection (`group_skip`), which has no parameters.
    """

    width: int = 64
    groups: Sequence[int] = (2, 3, 4)
    depths: Sequence[int] = (3, 3, 3)
    reduction: int = 16
    pyramid: str = "gaussian"
    group_skip: bool = True
    last_gain: float = 1.0  # scales the initial kernel of the last convolution
    style: Style = Style()
    remat: bool = False  # recompute each RCAB in the backward pass

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        h, w = x.shape[1:3]
        x = reflect_to_multiple(x, 2 ** (len(self.groups) - 1))
        levels: list[jax.Array] = []
        for level in range(1, len(self.groups) + 1):
            levels.append(self._features_of(x, level, levels[-1] if levels else None))
        fused = [self._refine(f, level) for level, f in enumerate(levels, start=1)]
        y = fused[0]
        for level in range(2, len(fused) + 1):
            y = jnp.concatenate([y, self._enlarge(fused[level - 1], level)], axis=-1)
            y = self.style.conv(self.width, kernel=1, name=f"fuse{level}")(y)
        return _last(self.style, self.last_gain, y)[:, :h, :w]

    def _features_of(self, x: jax.Array, level: int, finer: jax.Array | None) -> jax.Array:
        """f_msr of a level, from the image and f_msr of the next finer level."""
        conv, act = self.style.conv, self.style.act
        small = downsample(x, 2 ** (level - 1), kind=self.pyramid)
        f = act(f"ini{level}_act")(conv(self.width, name=f"ini{level}")(small))
        if finer is None:
            return f
        down = act(f"down{level}_act")(conv(self.width, stride=2, name=f"down{level}")(finer))
        both = jnp.concatenate([f, down], axis=-1)
        return act(f"msr{level}_act")(conv(self.width, name=f"msr{level}")(both))

    def _refine(self, f: jax.Array, level: int) -> jax.Array:
        """f_long of a level."""
        rcab = nn.remat(RCAB) if self.remat else RCAB
        y = f
        for group in range(1, self.groups[level - 1] + 1):
            start = y
            for block in range(1, self.depths[level - 1] + 1):
                y = rcab(self.reduction, self.style, name=f"level{level}_group{group}_rcab{block}")(y)
            if self.group_skip:
                y = y + start
        return self.style.conv(self.width, kernel=1, name=f"long{level}")(jnp.concatenate([y, f], axis=-1))

    def _enlarge(self, y: jax.Array, level: int) -> jax.Array:
        """Features of a level at full size."""
        for step in range(1, level):
            y = self.style.deconv(self.width, name=f"up{level}_{step}")(y)
            y = self.style.act(f"up{level}_{step}_act")(y)
        return y


class LightGenerator(nn.Module):
    """LW-DRGN's generator: one branch at half size with attention-guided dense fusion.

    The paper names it without a figure; the layers are ours:

    a = stem(x);  h_0 = strided conv(a);  g_1 = RCABs(h_0);  g_(k+1) = RCABs(F_k[h_0, g_1 .. g_k])
    F_k = conv1x1(CA[...]);  out = conv(conv[a, deconv(F_n[h_0, g_1 .. g_n])])

    Without `skip`, out = conv(deconv(...)) and the stem is one convolution.
    """

    width: int = 44
    groups: int = 2
    depth: int = 3  # RCABs per group
    reduction: int = 8
    skip: bool = True
    last_gain: float = 1.0
    style: Style = Style()
    remat: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        rcab = nn.remat(RCAB) if self.remat else RCAB
        conv, act, (h, w) = self.style.conv, self.style.act, x.shape[1:3]
        a = act("stem1_act")(conv(self.width, name="stem1")(reflect_to_multiple(x, 2)))
        if self.skip:
            a = act("stem2_act")(conv(self.width, name="stem2")(a))
        y = act("down_act")(conv(self.width, stride=2, name="down")(a))
        outputs = [y]
        for group in range(1, self.groups + 1):
            for block in range(1, self.depth + 1):
                y = rcab(self.reduction, self.style, name=f"group{group}_rcab{block}")(y)
            outputs.append(y)
            y = jnp.concatenate(outputs, axis=-1)
            y = ChannelAttention(self.reduction, self.style, name=f"fuse{group}_attention")(y)
            y = conv(self.width, kernel=1, name=f"fuse{group}")(y)
        y = act("up_act")(self.style.deconv(self.width, kernel=4, name="up")(y))
        if self.skip:
            y = conv(self.width, name="merge")(jnp.concatenate([y, a], axis=-1))
        return _last(self.style, self.last_gain, y)[:, :h, :w]


def _last(style: Style, gain: float, y: jax.Array) -> jax.Array:
    """The last convolution, to three channels; float32. `gain` scales its initial kernel."""
    init = style.conv(3).kernel_init

    def scaled(key: jax.Array, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> jax.Array:
        return gain * init(key, shape, dtype)

    return style.conv(3, kernel_init=scaled, name="last")(y).astype(jnp.float32)
