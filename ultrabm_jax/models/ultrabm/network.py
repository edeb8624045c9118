"""UltraBM: brightening and magnifying images captured in ultra-dark scenes (Gao et al. 2023; UltraIS in IEEE TNNLS).

    g = F_diff(x)                      guidance              (b, h, w, 2)
    u, I_1..I_5 = IlluminationNet(g)   first stream          u: illumination (b, h, w, 1) in (0, 1); equation 1
    v = x / u                          reflection            (b, h, w, 3)
    R_1..R_5 = UNet(v)                 second stream         each level k refined by ISDM: SMU(IMU(R_k, I_k), S_k)
    y = RSMU(R_5)                      restored              (b, s h, s w, 3), not clipped

x is the low-light image in [0, 1], s the scale, k = 1..5 a level from coarse to fine. S_k are the features of a frozen
semantic extractor (semantic_extractor.py).

`compat` selects which source to follow where the paper and the authors' released code (repository UltraIS) disagree;
each point also has its own option:

| point                | compat="paper"                    | compat="ultrais"                 | option          |
|----------------------|-----------------------------------|----------------------------------|-----------------|
| gray of the guidance | luma                              | (1 - luma) / 2                   | gray_mode       |
| division             | x / max(u, 1e-4)                  | x / u                            | epsilon         |
| modulation skip      | from the raw features (figure)    | from the normalised features     | modulation_skip |
| RSMU, step 1         | pixel shuffle                     | bilinear and convolution         | rsmu_step1      |
| FSI, equation 5      | all branches at once              | finest to coarsest               | fsi_order       |
| luminance loss       | on v, |mean - mu - sigma|         | on u, hinge (losses/retinex.py)  | (loss)          |

Four more points of the paper's text are options that `compat` does not set; the defaults are the released code's, and
`preset="paper"` sets them as printed:

| point                          | default (code)                 | as printed                    | option        |
|--------------------------------|--------------------------------|-------------------------------|---------------|
| heads of the modulation units  | 2                              | 1: a map of C x C             | heads         |
| 3x3 convolution of the query   | dense                          | depthwise                     | query         |
| branches of RSMU               | {1, 2} at x2, {1, 2, 4} at x4  | {1, 2, 4} always              | rsmu_branches |
| FSI's way down                 | 1x1 convolution with a stride  | "transposed convolution"      | rsmu_down     |

`input_maps` is ours: the second stream also receives the maps of layers/input_maps.py (equalised image, colour ratio
...), so that it does not have to judge the exposure of an image from a patch of it.

The epsilon is ours: the paper has none, and a sigmoid can underflow.

Taken from the code, because the paper does not state them: width 64, five levels, the order of layers, the final
LeakyReLU on RGB (`final_act`).

Deviations from the release: any size is accepted (reflected at the bottom and right to multiples of 16, then cropped;
the release pads to multiples of 4 and evaluates cropped images); the convolutions of RSMU that the release does not
register are trained.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ultrabm_jax.layers.conv import Conv
from ultrabm_jax.layers.input_maps import equalise, input_maps
from ultrabm_jax.layers.padding import reflect_to_multiple
from ultrabm_jax.models.ultrabm.guidance import neighbourhood_difference
from ultrabm_jax.models.ultrabm.modulation import ModulationUnit
from ultrabm_jax.models.ultrabm.rsmu import RSMU, BilinearUpsampler
from ultrabm_jax.models.ultrabm.semantic_extractor import init_extractor, semantic_features
from ultrabm_jax.models.ultrabm.unet import MULTIPLE, UNet
from ultrabm_jax.typing import Options

VARIANTS: Mapping[str, Options] = {"base": {"width": 64}, "small": {"width": 16}}

COMPAT: Mapping[str, Options] = {
    "paper": {
        "gray_mode": "luma",
        "epsilon": 1e-4,
        "modulation_skip": "raw",
        "rsmu_step1": "pixelshuffle",
        "fsi_order": "parallel",
    },
    "ultrais": {
        "gray_mode": "inv_half",
        "epsilon": 0.0,
        "modulation_skip": "normalised",
        "rsmu_step1": "bilinear",
        "fsi_order": "sequential",
    },
}


class IlluminationNet(nn.Module):
    """Guidance (b, h, w, 2) -> illumination (b, h, w, 1) in (0, 1), [I_1, ..., I_5]."""

    width: int
    remat: bool = False
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, guidance: jax.Array) -> tuple[jax.Array, list[jax.Array]]:
        x, levels = UNet(self.width, remat=self.remat, dtype=self.dtype, name="unet")(guidance)
        logits = Conv(1, dtype=self.dtype, name="head")(x)
        return jax.nn.sigmoid(logits.astype(jnp.float32)), levels


class UltraBM(nn.Module):
    """low (b, h, w, 3) in [0, 1], any size -> dict of float32 arrays; built by `create_model("ultrabm", ...)`.

    Outputs:
      restored: (b, s h, s w, 3), not clipped; clip it for images and metrics.
      guidance: (b, h, w, 2).
      illumination: u, (b, h, w, 1) in (0, 1).
      reflection: v, (b, h, w, 3), clipped to [0, 1]; the input of the second stream.
      reflection_unclipped: v, (b, h, w, 3); the input of the luminance loss.

    With `stream="one"` only `restored` is returned.

    Variables: "params" (trained) and, with a semantic extractor, "frozen" (its variables). `init` makes random ones, as
    of any module; `ultrabm_jax.backbones.pretrained.load_extractor` reads the published ones, as training does:
    {"params": ..., "frozen": {"semantic": load_extractor("vgg16")}}.
    """

    width: int = 64
    scale: int = 2
    semantic: str = "vgg16"
    semantic_input: str = "x"
    stream: str = "dual"
    second_stream_input: str = "v"
    input_maps: bool = False
    isdm: str = "full"
    upsampler: str = "rsmu"
    fsi: bool = True
    gray_mode: str = "luma"
    epsilon: float = 1e-4
    modulation_skip: str = "raw"
    rsmu_step1: str = "pixelshuffle"
    fsi_order: str = "parallel"
    final_act: str = "lrelu"
    heads: int = 2
    query: str = "dense"
    rsmu_branches: str = "scale"
    rsmu_down: str = "pointwise"
    remat: bool = False
    dtype: DTypeLike = jnp.float32

    @property
    def padding(self) -> int:
        """The sides of the image are padded to multiples of this."""
        return MULTIPLE

    @property
    def canvas_multiple(self) -> int:
        """Sides of a canvas are multiples of this, because HRNet's coarsest features have 1/32 of the size."""
        return 2 * MULTIPLE if self.has_semantic and self.semantic.startswith("hrnet") else MULTIPLE

    @property
    def has_semantic(self) -> bool:
        """Whether the model uses a semantic extractor, whose variables are in "frozen"."""
        return self.semantic != "none" and self.isdm not in ("none", "no_smu")

    @nn.compact
    def __call__(self, low: jax.Array, *, equalised: jax.Array | None = None) -> dict[str, jax.Array]:
        """Restores images; see the class for the outputs.

        `equalised` (b, h, w, 3) is used with `input_maps` only: the equalised image of which `low` is a patch, cropped
        alike; None equalises `low`.
        """
        h, w = low.shape[1:3]
        x = reflect_to_multiple(low, MULTIPLE)
        out, illumination_levels = self._first_stream(x)
        use_v = self.stream == "dual" and self.second_stream_input == "v"
        semantic_x = out["reflection"] if self.semantic_input == "v" and self.stream == "dual" else x
        semantic_levels = self._semantic_levels(semantic_x)
        second = out["reflection"] if use_v else x
        if self.input_maps:
            equalised = equalise(self, low) if equalised is None else equalised
            second = jnp.concatenate([second, input_maps(x, reflect_to_multiple(equalised, MULTIPLE))], axis=-1)
        features = self._second_stream(second, illumination_levels, semantic_levels)
        out = {name: value[:, :h, :w] for name, value in out.items()}
        return out | {"restored": self._upsample(features)[:, : self.scale * h, : self.scale * w]}

    def _first_stream(self, x: jax.Array) -> tuple[dict[str, jax.Array], list[jax.Array]]:
        """Guidance, illumination and reflection, and the features I_k; empty with `stream="one"`."""
        if self.stream == "one":
            return {}, []
        guidance = neighbourhood_difference(x, mode=self.gray_mode)
        net = IlluminationNet(self.width, remat=self.remat, dtype=self.dtype, name="illumination")
        u, levels = net(guidance)
        for k, level in enumerate(levels, start=1):
            self.sow("intermediates", f"ill{k}", level)
        unclipped = x / (jnp.maximum(u, self.epsilon) if self.epsilon else u)
        out = {
            "guidance": guidance,
            "illumination": u,
            "reflection_unclipped": unclipped,
            "reflection": jnp.clip(unclipped, 0, 1),
        }
        return out, levels

    def _semantic_levels(self, x: jax.Array) -> list[jax.Array]:
        """[S_1, ..., S_5], or [] without an extractor."""
        if not self.has_semantic:
            return []
        frozen = self.variable("frozen", "semantic", lambda: init_extractor(self.semantic, self.make_rng("params")))
        levels = semantic_features(self.semantic, frozen.value, x, dtype=self.dtype)
        for k, level in enumerate(levels, start=1):
            self.sow("intermediates", f"sem{k}", level)
        return levels

    def _second_stream(self, v: jax.Array, illumination: list[jax.Array], semantic: list[jax.Array]) -> jax.Array:
        """Reflection U-Net with ISDM at every level: v (b, h, w, 3 or 15) -> R_5 (b, h, w, width)."""
        use_imu = bool(illumination) and self.isdm in ("full", "no_smu")
        make = nn.remat(ModulationUnit) if self.remat else ModulationUnit
        options = {"skip": self.modulation_skip, "heads": self.heads, "query": self.query, "dtype": self.dtype}
        unit = functools.partial(make, self.width, **options)

        def isdm(k: int, x: jax.Array) -> jax.Array:
            self.sow("intermediates", f"cu{k}", x)
            if use_imu:
                x = unit(name=f"imu{k}")(x, illumination[k - 1])
                self.sow("intermediates", f"imu{k}_out", x)
            if semantic:
                x = unit(name=f"smu{k}")(x, semantic[k - 1])
            self.sow("intermediates", f"dec{k}", x)
            return x

        features, _ = UNet(self.width, remat=self.remat, dtype=self.dtype, name="reflection")(v, isdm)
        return features

    def _upsample(self, features: jax.Array) -> jax.Array:
        self.sow("intermediates", "rsmu_in", features)
        if self.upsampler == "bilinear":
            return BilinearUpsampler(self.scale, dtype=self.dtype, name="upsampler")(features)
        rsmu = RSMU(
            self.width,
            scale=self.scale,
            step1=self.rsmu_step1,
            fsi=self.fsi,
            fsi_order=self.fsi_order,
            final_act=self.final_act,
            branches=self.rsmu_branches,
            down=self.rsmu_down,
            dtype=self.dtype,
            name="rsmu",
        )
        return rsmu(features)


CHOICES: Mapping[str, tuple[object, ...]] = {
    "scale": (2, 4),
    "semantic": ("hrnet_w48", "hrnet_w18", "vgg16", "none"),
    "semantic_input": ("x", "v"),
    "stream": ("dual", "one"),
    "second_stream_input": ("v", "x"),
    "isdm": ("full", "none", "no_smu", "no_imu"),
    "upsampler": ("rsmu", "bilinear"),
    "gray_mode": ("luma", "inv_half"),
    "modulation_skip": ("raw", "normalised"),
    "rsmu_step1": ("pixelshuffle", "bilinear"),
    "fsi_order": ("parallel", "sequential"),
    "final_act": ("lrelu", "none"),
    "heads": (1, 2, 4),
    "query": ("dense", "depthwise"),
    "rsmu_branches": ("scale", "three"),
    "rsmu_down": ("pointwise", "transposed"),
}
