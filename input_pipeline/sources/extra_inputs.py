"""Inputs that depend on the whole dark image and are cropped with it: config.data.derived names them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np

from input_pipeline.cache import ArrayCache
from input_pipeline.sources.lazy_images import Made, Pixels
from ultrabm_jax.errors import UserError


def equalise(low: np.ndarray) -> np.ndarray:
    """(h, w, 3) uint8, each channel equalised over the image by the rule of OpenCV's equalizeHist.

    The darkest level present becomes 0; level v becomes round(255 (C(v) - C0) / (N - C0)) with the cumulative counts
    C, C0 that of the darkest level, N pixels. A channel of one level stays as it is. Used by LoLiSRFlow.
    """
    return np.stack([_equalised(low[..., c]) for c in range(low.shape[2])], axis=2)


def _equalised(channel: np.ndarray) -> np.ndarray:
    counts = np.bincount(channel.ravel(), minlength=256)
    darkest = counts[np.flatnonzero(counts)[0]]
    if darkest == channel.size:
        return channel
    # float32, as OpenCV has it: in float64 a product on the edge of two levels can round the other way.
    gain = np.float32(255) / np.float32(channel.size - darkest)
    table = np.rint((np.cumsum(counts) - darkest).astype(np.float32) * gain)
    return np.clip(table, 0, 255).astype(np.uint8)[channel]


DERIVED: dict[str, Callable[[np.ndarray], np.ndarray]] = {"equalised": equalise}  # name in the batch -> low -> array


def derive(names: Sequence[str], low: Pixels, *, key: Hashable, cache: ArrayCache) -> Mapping[str, Pixels]:
    """The named inputs of one image, made when first asked for; `key` tells images of one cache apart."""
    unknown = [name for name in names if name not in DERIVED]
    if unknown:
        raise UserError(f"data.derived={unknown[0]!r} is not known; choose from: {', '.join(DERIVED)}")
    return {name: Made(low, DERIVED[name], (name, key), cache) for name in names}
