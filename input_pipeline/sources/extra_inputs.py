"""Inputs that depend on the whole dark image and are cropped with it, as config.data.extra_inputs lists."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np

from input_pipeline.sources.lazy_images import ArrayCache, CachedImage, LazyImage, MappedImage
from ultrabm_jax.errors import UserError
from ultrabm_jax.image.equalisation import equalise

# name in the batch -> function of `low`
EXTRA_INPUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"equalised": equalise}


def make_extra_inputs(
    names: Sequence[str], low: LazyImage, *, key: Hashable, cache: ArrayCache
) -> Mapping[str, LazyImage]:
    """The named inputs of one image, computed at first use; `key` identifies the image in the cache."""
    unknown = [name for name in names if name not in EXTRA_INPUTS]
    if unknown:
        raise UserError(f"data.extra_inputs={unknown[0]!r} is not known; choose from: {', '.join(EXTRA_INPUTS)}")
    return {name: CachedImage(MappedImage(low, EXTRA_INPUTS[name]), (name, key), cache) for name in names}
