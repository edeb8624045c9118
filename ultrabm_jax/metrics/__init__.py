"""Image quality under named protocols, per image.

    compute("psnr_rgb", restored, reference)          (b,); images (b, h, w, 3), uint8 or float in [0,1]
    compute("ssim_y_crop4", restored, reference)      `_crop{n}`: n pixels cut from every side first
    compute("lpips_alex", restored, reference, assets=FOLDER)

Published numbers are comparable only where the protocol is the same, so a value never goes without its name. Metrics
written in JAX may be called inside a jitted function (LPIPS there: use `metrics.lpips.lpips` with its variables).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.metrics import lpips, psnr, ssim
from ultrabm_jax.metrics.images import check_images, crop_border

__all__ = ["METRICS", "Metric", "compute"]


@dataclass(frozen=True)
class Metric:
    """`function(restored[, reference], **options) -> (b,)`; `assets`: what it needs of `weights.assets`."""

    function: Callable[..., Any]
    higher_is_better: bool
    full_reference: bool
    assets: tuple[str, ...]
    source: str


def _jax_metric(function: Callable[..., jax.Array], *, higher: bool, source: str) -> Metric:
    return Metric(jax.jit(function), higher, full_reference=True, assets=(), source=source)


_WANG = "Wang et al. 2004, equal to tf.image.ssim and BasicSR"
_MULTI = "Wang et al. 2003, product form"
_ZHANG = "Zhang et al. 2018, v0.1"

METRICS: dict[str, Metric] = {
    "psnr_rgb": _jax_metric(psnr.psnr_rgb, higher=True, source="8-bit RGB, peak 255"),
    "psnr_y": _jax_metric(psnr.psnr_y, higher=True, source="BT.601 Y of 8-bit RGB, not rounded, peak 255 (BasicSR)"),
    "rmse": _jax_metric(psnr.rmse, higher=False, source="images in [0,1]"),
    "ssim_rgb": _jax_metric(ssim.ssim_rgb, higher=True, source=f"{_WANG}, mean over RGB"),
    "ssim_y": _jax_metric(ssim.ssim_y, higher=True, source=f"{_WANG}, on BT.601 Y"),
    "ssim_gray": _jax_metric(ssim.ssim_gray, higher=True, source=f"{_WANG}, on MATLAB's rgb2gray"),
    "msssim_rgb": _jax_metric(ssim.msssim_rgb, higher=True, source=f"{_MULTI}, mean over RGB"),
    "msssim_gray": _jax_metric(ssim.msssim_gray, higher=True, source=f"{_MULTI}, on MATLAB's rgb2gray"),
    "lpips_alex": Metric(lpips.lpips_alex, False, True, assets=("alexnet",), source=f"{_ZHANG}, AlexNet"),
    "lpips_vgg": Metric(lpips.lpips_vgg, False, True, assets=("vgg16",), source=f"{_ZHANG}, VGG-16"),
}


def compute(
    name: str, restored: jax.Array | np.ndarray, reference: jax.Array | np.ndarray | None = None, **options: Any
) -> jax.Array:
    """The metric of each image of a batch, (b,); options go to the metric."""
    metric, border = _parse(name)
    if metric.full_reference and reference is None:
        raise UserError(f"{name} compares with a reference, and none was given")
    images = [restored, reference] if metric.full_reference else [restored]
    check_images(name, *images)
    return metric.function(*(crop_border(jnp.asarray(image), border) for image in images), **options)


def _parse(name: str) -> tuple[Metric, int]:
    """ "psnr_y_crop4" -> (METRICS["psnr_y"], 4)"""
    suffix = re.search(r"_crop(\d+)$", name)
    base = name[: suffix.start()] if suffix else name
    if base not in METRICS or (suffix and not METRICS[base].full_reference):
        known = ", ".join(METRICS)
        raise UserError(f"unknown metric {name!r}; known: {known} (full-reference ones also with _crop4 and the like)")
    return METRICS[base], int(suffix[1]) if suffix else 0
