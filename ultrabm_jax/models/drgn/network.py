"""DRGN, degradation-to-refinement generation network (Jiang et al., "Degrade is Upgrade", AAAI 2022), and LW-DRGN.

    I_D = DeG(I_L)          degradation, mostly negative for dark images, not clipped     (b, h, w, 3)
    I_B = I_L - I_D         base image, not clipped                                       equation 4
    I*  = ReG(I_B)          restored image, not clipped                                   equation 8

I_L is the low-light image in [0, 1]. No code was released; the networks follow the paper's text, its Figure 3 and its
counts (generators.py). Training: methods/drgn.py.

| at 384x384                         | paper            | here                                              |
|------------------------------------|------------------|---------------------------------------------------|
| DRGN, DeG and ReG                  | 4.773 M          | 4,773,208 parameters                              |
| DRGN, multiply-adds of *one* MFN   | 110.59 G         | 110.59 G; 221.18 G for both                       |
| LW-DRGN, both                      | .660 M           | 662,226 (variant "base"), 664,006 ("pair")        |
| LW-DRGN, multiply-adds             | 18.15 G          | 17.91 G of one ("base"), 18.48 G of both ("pair") |

The paper's parameters therefore count both generators and its multiply-adds only one; with equal widths at all levels
no other reading fits both numbers. LW-DRGN's "base" follows the same reading; "pair" is a narrower network in which
both generators together have the paper's multiply-adds.

With `degradation="multiplicative"` or "exposure", which are not the paper's, I_B = I_L exp(-I_D) (degradation.py).

Open points of the paper, each an option: `pyramid` (pyramid.py), `group_skip`, `prelu` (initial slope: 0.25 is
PyTorch's default, 0 that of the authors' MSPFN), `init_kind` ("xavier" as MSPFN, or "torch"), `deg_gain` (ours: 0.1
makes the initial I_D small).
`input_maps` is ours: ReG also receives the maps of layers/input_maps.py (equalised image, colour ratio ...), so that it
does not have to judge the exposure of an image from a patch of it.
With `remove_degradation=False`, ours, ReG restores I_L itself, in training and in use: DeG only makes synthetic pairs.
Ablations of Table 1 (configs/drgn_lol_*.py): `dl_da=False` is one generator directly from I_L to I*.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ultrabm_jax.layers.input_maps import equalise, input_maps
from ultrabm_jax.layers.padding import reflect_to_multiple
from ultrabm_jax.models.drgn.degradation import DEGRADATION_FORMS, DegradationForm
from ultrabm_jax.models.drgn.generators import MFN, LightGenerator
from ultrabm_jax.models.drgn.pyramid import KINDS
from ultrabm_jax.models.drgn.rcab import KERNEL_INITS, Style
from ultrabm_jax.typing import Options

VARIANTS: Mapping[str, Options] = {"base": {"width": 64}, "small": {"width": 16}}
LIGHT_VARIANTS: Mapping[str, Options] = {
    "base": {"width": 44, "groups": 2, "depth": 3, "reduction": 8, "skip": True},
    "pair": {"width": 28, "groups": 7, "depth": 2, "reduction": 4, "skip": False},
}


class _TwoGenerators(nn.Module):
    """low (b, h, w, 3) in [0, 1], any size -> {"restored", "degradation", "base"}, float32 (b, h, w, 3) each.

    `model.apply({"params": {"deg": ...}}, low, method="degrade")` applies DeG alone, `method="refine"` ReG.
    Without `dl_da` or `remove_degradation` only "restored" is returned. `equalised` (b, h, w, 3) is used with
    `input_maps` only: the equalised image of which `low` is a patch, cropped alike; None equalises `low`.
    """

    dl_da: bool = True
    input_maps: bool = False
    degradation: str = "additive"  # a key of `DEGRADATION_FORMS`
    remove_degradation: bool = True
    deg_gain: float = 0.1
    prelu: float = 0.25
    init_kind: str = "xavier"
    scale: int = 1  # output size over input size
    dtype: DTypeLike = jnp.float32
    remat: bool = False  # recompute each RCAB in the backward pass

    def generator(self, last_gain: float) -> nn.Module:
        """One generator; `last_gain` scales the initial kernel of its last convolution."""
        raise NotImplementedError

    @property
    def padding(self) -> int:
        """The sides of the image are padded to multiples of this."""
        raise NotImplementedError

    @property
    def style(self) -> Style:
        """Options of all layers."""
        return Style(self.init_kind, self.prelu, self.dtype)

    @property
    def removes_degradation(self) -> bool:
        """Whether an image is restored with DeG, too."""
        return self.dl_da and self.remove_degradation

    @property
    def form(self) -> DegradationForm:
        """How I_D darkens an image, and how it is removed."""
        return DEGRADATION_FORMS[self.degradation]

    def setup(self) -> None:
        if self.dl_da:
            self.deg = self.generator(self.deg_gain)
        self.reg = self.generator(1.0)

    def __call__(self, low: jax.Array, *, equalised: jax.Array | None = None) -> dict[str, jax.Array]:
        if not self.removes_degradation:
            if self.dl_da and self.is_initializing():
                self.degrade(low)
            return {"restored": self.refine(self.reg_input(low, low, equalised))}
        degradation = self.degrade(low)
        base = self.form.remove(low, degradation)
        restored = self.refine(self.reg_input(base, low, equalised))
        return {"restored": restored, "degradation": degradation, "base": base}

    def reg_input(self, base: jax.Array, low: jax.Array, equalised: jax.Array | None = None) -> jax.Array:
        """The input of ReG: I_B (b, h, w, 3), or with `input_maps` [I_B, maps of I_L], (b, h, w, 15)."""
        if not self.input_maps:
            return base
        h, w = low.shape[1:3]
        equalised = equalise(self, low) if equalised is None else equalised
        low, equalised = (reflect_to_multiple(x, self.padding) for x in (low, equalised))
        return jnp.concatenate([base, input_maps(low, equalised)[:, :h, :w]], axis=-1)

    def degrade(self, low: jax.Array) -> jax.Array:
        """I_D = DeG(I_L)."""
        return self.form.limit(self.deg(low))

    def refine(self, reg_input: jax.Array) -> jax.Array:
        """I* = ReG(I_B)."""
        return self.reg(reg_input)


class DRGN(_TwoGenerators):
    """Two MFNs; built by `create_model("drgn", ...)`."""

    width: int = 64
    groups: Sequence[int] = (2, 3, 4)
    depths: Sequence[int] = (3, 3, 3)
    reduction: int = 16
    pyramid: str = "gaussian"
    group_skip: bool = True

    @property
    def padding(self) -> int:
        """The sides of the image are padded to multiples of this."""
        return 2 ** (len(self.groups) - 1)

    def generator(self, last_gain: float) -> nn.Module:
        return MFN(
            self.width,
            tuple(self.groups),
            tuple(self.depths),
            self.reduction,
            self.pyramid,
            self.group_skip,
            last_gain,
            self.style,
            self.remat,
        )


class LWDRGN(_TwoGenerators):
    """Two light generators; built by `create_model("lw_drgn", ...)`."""

    width: int = 44
    groups: int = 2
    depth: int = 3
    reduction: int = 8
    skip: bool = True

    @property
    def padding(self) -> int:
        """The sides of the image are padded to multiples of this."""
        return 2

    def generator(self, last_gain: float) -> nn.Module:
        sizes = self.width, self.groups, self.depth, self.reduction, self.skip
        return LightGenerator(*sizes, last_gain, self.style, self.remat)


CHOICES: Mapping[str, tuple[object, ...]] = {
    "scale": (1,),
    "init_kind": tuple(KERNEL_INITS),
    "degradation": tuple(DEGRADATION_FORMS),
    "pyramid": KINDS,
}
LIGHT_CHOICES = {name: choices for name, choices in CHOICES.items() if name != "pyramid"}
