"""Dark images without references: they can be restored and measured without a reference, but not trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from input_pipeline.sources.base import Example, PairSource
from input_pipeline.sources.lazy_images import LazyImage, Size
from ultrabm_jax.errors import UserError
from ultrabm_jax.typing import HostBatch


class LowImages(PairSource):
    """Numbered images `low`, by (name, pixels, group); `whole` has no reference."""

    has_references = False

    def __init__(self, images: Sequence[tuple[str, LazyImage, str | None]], *, scale: int):
        self.scale = scale
        self._images = list(images)

    def __len__(self) -> int:
        return len(self._images)

    def name(self, i: int) -> str:
        return self._images[i][0]

    def group(self, i: int) -> str | None:
        return self._images[i][2]

    def size(self, i: int) -> Size:
        return self._images[i][1].size

    def whole(self, i: int) -> HostBatch:
        return {"low": self._images[i][1].whole()}

    def pair(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        raise self._error()

    def crop(self, i: int, *, patch: int, rng: np.random.Generator) -> Example:
        raise self._error()

    def arrays(self, i: int) -> Example:
        raise self._error()

    def _error(self) -> UserError:
        return UserError("these images have no references: eval.py measures them, but they cannot be used for training")
