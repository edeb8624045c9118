"""UltraBM: brightening and magnifying images captured in ultra-dark scenes (Gao et al., 2023; as UltraIS: IEEE TNNLS).

    g = F_diff(x)                      guidance              (b, h, w, 2)
    u, I_1..I_5 = IlluminationUNet(g)  illumination          (b, h, w, 1) in (0, 1)
    v = x / u                          reflection            (b, h, w, 3)
    R_1..R_5 = ReflectionUNet(v), each level k refined by ISDM: SMU(IMU(R_k, I_k), S_k)
    y = RSMU(R_5)                      restored              (b, s h, s w, 3), not bounded

x is the low image in [0, 1]; S_k are the maps of a frozen semantic extractor (models/ultrabm/semantic_extractor.py).

Where the paper and what its authors released (repository UltraIS) disagree, `compat` decides; any single point can be
set by its own option:

| point               | compat="paper"                    | compat="ultrais"                       | option      |
|---------------------|-----------------------------------|----------------------------------------|-------------|
| gray of the guidance| luma                              | (1 - luma) / 2                         | gray_mode   |
| division            | x / max(u, 1e-4)                  | x / u                                  | epsilon     |
| modulation skip     | from the raw features (figure)    | from the normalised features           | modulation_skip |
| RSMU stage 1        | pixel shuffle                     | bilinear and convolution               | stage1      |
| FSI, equation 5     | all branches at once              | finest to coarsest                     | fsi_order   |
| luminance loss      | on v, |mean - mu - sigma|         | on u, hinge (losses/retinex.py)        | (loss)      |

The epsilon is ours: the paper has none and a sigmoid can underflow.

Same in both, read from the code because the paper does not say: width 64, five levels, two heads, layer orders, the
final LeakyReLU on RGB (`final_act`), the query's full 3x3 convolution.

Deviations: any size is accepted (reflected to a multiple of 16 at the bottom and right, then cut back; the release
pads to 4 and evaluates on cropped images); convolutions of RSMU that the release forgot to register are trained.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ultrabm_jax.layers.conv import Conv
from ultrabm_jax.layers.padding import reflect_to_multiple
from ultrabm_jax.models.ultrabm.guidance import neighbourhood_difference
from ultrabm_jax.models.ultrabm.modulation import ModulationUnit
from ultrabm_jax.models.ultrabm.rsmu import RSMU, BilinearUpsampler
from ultrabm_jax.models.ultrabm.semantic_extractor import init_extractor, semantic_features
from ultrabm_jax.models.ultrabm.unet import MULTIPLE, UNet

VARIANTS: dict[str, dict[str, Any]] = {"base": {"width": 64}, "small": {"width": 16}}

COMPAT: dict[str, dict[str, Any]] = {
    "paper": {
        "gray_mode": "luma",
        "epsilon": 1e-4,
        "modulation_skip": "raw",
        "stage1": "pixelshuffle",
        "fsi_order": "parallel",
    },
    "ultrais": {
        "gray_mode": "inv_half",
        "epsilon": 0.0,
        "modulation_skip": "normalised",
        "stage1": "bilinear",
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

    restored (b, s h, s w, 3) is not bounded: clip it for images and metrics. Beside it (b, h, w, ...): guidance,
    illumination, reflection (clipped to [0, 1], what the second stream sees), reflection_unclipped (what L_SL sees).
    With one stream there is no illumination and no reflection in the dict.

    Variables: "params" (trained) and, with a semantic extractor, "frozen" (its variables). `init` makes random ones, as
    of any module; `ultrabm_jax.backbones.pretrained.load_extractor` reads the published ones, as training does:
    {"params": ..., "frozen": {"semantic": load_extractor("vgg16")}}.
    """

    width: int = 64
    scale: int = 2
    semantic: str = "vgg16"
    semantic_input: str = "x"
    stream: str = "dual"
    stage2_input: str = "v"
    isdm: str = "full"
    upsampler: str = "rsmu"
    fsi: bool = True
    gray_mode: str = "luma"
    epsilon: float = 1e-4
    modulation_skip: str = "raw"
    stage1: str = "pixelshuffle"
    fsi_order: str = "parallel"
    final_act: str = "lrelu"
    remat: bool = False
    dtype: DTypeLike = jnp.float32

    @property
    def has_semantic(self) -> bool:
        """Whether a semantic extractor takes part, and "frozen" holds its variables."""
        return self.semantic != "none" and self.isdm not in ("none", "no_smu")

    @nn.compact
    def __call__(self, low: jax.Array) -> dict[str, jax.Array]:
        h, w = low.shape[1:3]
        x = reflect_to_multiple(low, MULTIPLE)
        out, illumination_levels = self._first_stream(x)
        use_v = self.stream == "dual" and self.stage2_input == "v"
        semantic_x = out["reflection"] if self.semantic_input == "v" and self.stream == "dual" else x
        semantic_levels = self._semantic_levels(semantic_x)
        features = self._second_stream(out["reflection"] if use_v else x, illumination_levels, semantic_levels)
        out = {name: value[:, :h, :w] for name, value in out.items()}
        return out | {"restored": self._upsample(features)[:, : self.scale * h, : self.scale * w]}

    def _first_stream(self, x: jax.Array) -> tuple[dict[str, jax.Array], list[jax.Array]]:
        """Equation 1. Nothing with one stream."""
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
        if not self.has_semantic:
            return []
        frozen = self.variable("frozen", "semantic", lambda: init_extractor(self.semantic, self.make_rng("params")))
        levels = semantic_features(self.semantic, frozen.value, x, dtype=self.dtype)
        for k, level in enumerate(levels, start=1):
            self.sow("intermediates", f"sem{k}", level)
        return levels

    def _second_stream(self, v: jax.Array, illumination: list[jax.Array], semantic: list[jax.Array]) -> jax.Array:
        """Reflection U-Net with ISDM at every decoder level: (b, h, w, width)."""
        use_imu = bool(illumination) and self.isdm in ("full", "no_smu")
        unit = nn.remat(ModulationUnit) if self.remat else ModulationUnit

        def isdm(k: int, x: jax.Array) -> jax.Array:
            self.sow("intermediates", f"cu{k}", x)
            if use_imu:
                x = unit(self.width, skip=self.modulation_skip, dtype=self.dtype, name=f"imu{k}")(
                    x, illumination[k - 1]
                )
                self.sow("intermediates", f"imu{k}_out", x)
            if semantic:
                x = unit(self.width, skip=self.modulation_skip, dtype=self.dtype, name=f"smu{k}")(x, semantic[k - 1])
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
            stage1=self.stage1,
            fsi=self.fsi,
            fsi_order=self.fsi_order,
            final_act=self.final_act,
            dtype=self.dtype,
            name="rsmu",
        )
        return rsmu(features)


CHOICES: dict[str, tuple[Any, ...]] = {
    "scale": (2, 4),
    "semantic": ("hrnet_w48", "hrnet_w18", "vgg16", "none"),
    "semantic_input": ("x", "v"),
    "stream": ("dual", "one"),
    "stage2_input": ("v", "x"),
    "isdm": ("full", "none", "no_smu", "no_imu"),
    "upsampler": ("rsmu", "bilinear"),
    "gray_mode": ("luma", "inv_half"),
    "modulation_skip": ("raw", "normalised"),
    "stage1": ("pixelshuffle", "bilinear"),
    "fsi_order": ("parallel", "sequential"),
    "final_act": ("lrelu", "none"),
}
