"""Inputs that depend on the whole dark image and are cropped with it: config.data.extra_inputs names them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np

from input_pipeline.cache import ArrayCache
from input_pipeline.sources.lazy_images import LazyImage, MappedImage
from ultrabm_jax.errors import UserError
from ultrabm_jax.image.equalisation import equalise

EXTRA_INPUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "equalised": equalise
}  # name in the batch -> low -> array


def derive(names: Sequence[str], low: LazyImage, *, key: Hashable, cache: ArrayCache) -> Mapping[str, LazyImage]:
    """The named inputs of one image, made when first asked for; `key` tells images of one cache apart."""
    unknown = [name for name in names if name not in EXTRA_INPUTS]
    if unknown:
        raise UserError(f"data.extra_inputs={unknown[0]!r} is not known; choose from: {', '.join(EXTRA_INPUTS)}")
    return {name: MappedImage(low, EXTRA_INPUTS[name], (name, key), cache) for name in names}
