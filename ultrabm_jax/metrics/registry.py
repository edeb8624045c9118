"""The metrics by protocol name, and `compute`, which measures a batch of images under one of them.

Metrics written in JAX may be called inside a jitted function (LPIPS through `metrics.lpips.lpips` with its variables).
The others (`on_host`) run in float64 NumPy and return NumPy arrays.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from ultrabm_jax.errors import UserError, did_you_mean
from ultrabm_jax.metrics import (
    brisque,
    colour_difference,
    fsim,
    gamma_corrected,
    lightness_order,
    lpips,
    mean_aligned,
    niqe,
    psnr,
    sseq,
    ssim,
)
from ultrabm_jax.metrics.features import FeatureMetric, SharedFeatures
from ultrabm_jax.metrics.images import check_images, crop_border
from ultrabm_jax.typing import Array

Against = Literal["reference", "low", "none"]


@dataclass(frozen=True)
class Metric:
    """A protocol: `function(restored[, reference or low], **options) -> (b,)`.

    `against` names the image that the restored one is compared with, `assets` the entries of `storage.assets` that the
    function loads. `source` cites the definition.
    """

    function: Callable[..., Array]
    higher_is_better: bool | None  # None: 1 is best, and both larger and smaller values are worse
    against: Against
    source: str
    assets: tuple[str, ...] = ()
    on_host: bool = False
    any_size: bool = False  # the images may have different sizes

    @property
    def full_reference(self) -> bool:
        """Whether the metric needs a reference image."""
        return self.against == "reference"


def _jax_metric(function: Callable[..., jax.Array], *, higher: bool | None, source: str) -> Metric:
    return Metric(jax.jit(function), higher, "reference", source)


def _host_metric(
    function: Callable[..., np.ndarray],
    *,
    higher: bool,
    source: str,
    against: Against = "none",
    assets: tuple[str, ...] = (),
    any_size: bool = False,
) -> Metric:
    return Metric(function, higher, against, source, assets, on_host=True, any_size=any_size)


_WANG = "Wang et al. 2004, equal to tf.image.ssim and BasicSR"
_MULTI = "Wang et al. 2003, product form"
_ZHANG = "Zhang et al. 2018, v0.1"
_FSIM = "Zhang et al. 2011, downsampled as in IQA-PyTorch and piq"
_NIQE = "Mittal et al. 2013, the authors' release and pristine model"
_RED = "Lamba and Mitra 2021, Table 2: best GT^g, g = .70 to 1.30 in steps of .03 by default"
_GT_MEAN = "brightness set to the reference's; never report it alone"
_BRISQUE = ("brisque_model", "brisque_range")

METRICS: dict[str, Metric] = {
    "psnr_rgb": _jax_metric(psnr.psnr_rgb, higher=True, source="8-bit RGB, peak 255"),
    "psnr_y": _jax_metric(psnr.psnr_y, higher=True, source="BT.601 Y of 8-bit RGB, not rounded, peak 255 (BasicSR)"),
    "rmse": _jax_metric(psnr.rmse, higher=False, source="images in [0, 1]"),
    "ssim_rgb": _jax_metric(ssim.ssim_rgb, higher=True, source=f"{_WANG}, mean over RGB"),
    "ssim_y": _jax_metric(ssim.ssim_y, higher=True, source=f"{_WANG}, on BT.601 Y"),
    "ssim_gray": _jax_metric(ssim.ssim_gray, higher=True, source=f"{_WANG}, on MATLAB's rgb2gray"),
    "msssim_rgb": _jax_metric(ssim.msssim_rgb, higher=True, source=f"{_MULTI}, mean over RGB"),
    "msssim_gray": _jax_metric(ssim.msssim_gray, higher=True, source=f"{_MULTI}, on MATLAB's rgb2gray"),
    "fsim": Metric(fsim.fsim, True, "reference", f"{_FSIM}, luma"),
    "fsimc": Metric(fsim.fsimc, True, "reference", f"{_FSIM}, YIQ; often called fsim"),
    "delta_e": _jax_metric(
        colour_difference.delta_e, higher=False, source="CIEDE2000, Sharma et al. 2005, mean over pixels of 8-bit sRGB"
    ),
    "chroma_ratio": _jax_metric(
        colour_difference.chroma_ratio, higher=None, source="mean CIELAB chroma over the reference's; 1 is best"
    ),
    "lpips_alex": Metric(lpips.lpips_alex, False, "reference", f"{_ZHANG}, AlexNet", assets=("alexnet",)),
    "lpips_vgg": Metric(lpips.lpips_vgg, False, "reference", f"{_ZHANG}, VGG-16", assets=("vgg16",)),
    "psnr_gtgc": _host_metric(gamma_corrected.psnr_gtgc, higher=True, against="reference", source=_RED),
    "ssim_gtgc": _host_metric(gamma_corrected.ssim_gtgc, higher=True, against="reference", source=_RED),
    "psnr_gtmean_retinexformer": _jax_metric(
        mean_aligned.psnr_gtmean_retinexformer, higher=True, source=f"Retinexformer --GT_mean; {_GT_MEAN}"
    ),
    "psnr_gtmean_llflow": _jax_metric(
        mean_aligned.psnr_gtmean_llflow, higher=True, source=f"LLFlow's test code; {_GT_MEAN}"
    ),
    "psnr_gtmean_gray": _jax_metric(mean_aligned.psnr_gtmean_gray, higher=True, source=f"gray means; {_GT_MEAN}"),
    "niqe_gray": _host_metric(niqe.niqe_gray, higher=False, assets=("niqe",), source=f"{_NIQE}, on rgb2gray"),
    "niqe_y": _host_metric(niqe.niqe_y, higher=False, assets=("niqe",), source=f"{_NIQE}, on 8-bit Y"),
    "brisque": _host_metric(brisque.brisque, higher=False, assets=_BRISQUE, source="Mittal et al. 2012, release"),
    "sseq": _host_metric(sseq.sseq, higher=False, assets=("sseq",), source="Liu et al. 2014, release"),
    "loe": _host_metric(
        lightness_order.loe, higher=False, against="low", source="Wang et al. 2013, their code: 15x15 maxima, strided"
    ),
    "loe_up": _host_metric(
        lightness_order.loe_up,
        higher=False,
        against="low",
        source="loe against the input enlarged bicubically",
        any_size=True,
    ),
    "loe_ref": _host_metric(
        lightness_order.loe_ref, higher=False, against="reference", source="loe against the reference"
    ),
    "loe_100": _host_metric(
        lightness_order.loe_100, higher=False, against="low", source="BIMEF's code: 100x100 nearest samples"
    ),
}


def compute(
    name: str,
    restored: Array,
    reference: Array | None = None,
    *,
    low: Array | None = None,
    shared: SharedFeatures | None = None,
    **options: object,
) -> Array:
    """The metric `name` of each image of a batch, (b,).

    Images are (b, h, w, 3), uint8 or float in [0, 1]; inside a jitted function, float values are clipped. `reference`
    and `low` are ignored by metrics that do not compare with them. `shared`: features of this reference, used and added
    by metrics that compare features. `options` are passed to the metric's function, such as `assets`.

    Raises UserError for an unknown name, a missing image, a wrong shape, type or range of values, or an image too small
    for the metric.
    """
    metric, border = find(name)
    other = {"reference": reference, "low": low, "none": None}[metric.against]
    if metric.against != "none" and other is None:
        needed = {"reference": "a reference", "low": "the low-light input (low=...)"}[metric.against]
        raise UserError(f"{name} compares with {needed}, and none was given")
    images = [restored] if other is None else [restored, other]
    if border and metric.any_size:
        raise UserError(f"{name}: a border cannot be cut from images of different sizes")
    for group in [[image] for image in images] if metric.any_size else [images]:
        check_images(name, *group)
    if metric.on_host and any(isinstance(image, jax.core.Tracer) for image in images):
        raise UserError(f"{name} runs on the host in float64 and cannot be part of a jitted function")
    as_array = np.asarray if metric.on_host else jnp.asarray
    cropped = [crop_border(as_array(image), border) for image in images]
    if shared is not None and isinstance(metric.function, FeatureMetric):
        return metric.function.shared(cropped[0], cropped[1], shared, border, **options)
    return metric.function(*cropped, **options)


def find(name: str) -> tuple[Metric, int]:
    """The metric of a protocol name and the border it crops: "psnr_y_crop4" -> (METRICS["psnr_y"], 4)."""
    suffix = re.search(r"_crop(\d+)$", name)
    base = name[: suffix.start()] if suffix else name
    if base not in METRICS:
        raise UserError(
            f"unknown metric {name!r}; known: {', '.join(METRICS)} (each also with a border, such as _crop4)"
            f"{did_you_mean(base, METRICS)}"
        )
    return METRICS[base], int(suffix[1]) if suffix else 0
