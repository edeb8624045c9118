"""Image quality under named protocols, per image.

    compute("psnr_rgb", restored, reference)          (b,); images (b, h, w, 3), uint8 or float in [0, 1]
    compute("ssim_y_crop4", restored, reference)      `_crop{n}`: n pixels are first cut from every side
    compute("niqe_gray", restored, assets=FOLDER)     no reference; `assets` is searched first for models
    compute("loe", restored, low=low)                 against the low-light input

Published numbers are comparable only under the same protocol, so every value is reported with its protocol's name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ultrabm_jax.metrics.registry import METRICS, Metric, compute, find

__all__ = ["METRICS", "Metric", "compute", "find"]


def __getattr__(name: str) -> object:
    """Imports all metrics on first use: some need SciPy, and losses use single modules of this package."""
    if name in __all__:
        from ultrabm_jax.metrics import registry

        return getattr(registry, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
