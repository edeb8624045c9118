"""Scores images under the protocols of an evaluation, and keeps the reasons for missing scores.

A protocol that raises UserError, because a file is missing or an image is too small, is not tried again. An
undefined value (nan), such as a no-reference metric of an image without contrast, is missing for that image only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.metrics import Metric, find
from ultrabm_jax.metrics.scoring import Scores, score_image


class Protocols:
    """Scores 8-bit images under each of `names`; `unavailable` has a reason for each protocol that lacks values.

    Raises UserError for an unknown name.
    """

    def __init__(self, names: Sequence[str], *, assets: str = ""):
        self._assets = assets
        self.higher_is_better = {name: _find(name).higher_is_better for name in names}
        self.unavailable: dict[str, str] = {}
        self._failed: set[str] = set()

    def scores(self, restored: np.ndarray, others: Mapping[str, np.ndarray | None]) -> Scores:
        """The scores of a uint8 image (h, w, 3); `others` are the "reference" and the "low" that exist."""
        return {name: self._score(name, restored, others) for name in self.higher_is_better}

    def _score(self, name: str, restored: np.ndarray, others: Mapping[str, np.ndarray | None]) -> float | None:
        if name in self._failed:
            return None
        try:
            value = score_image(name, restored, others, assets=self._assets)
        except UserError as error:
            self._failed.add(name)
            self.unavailable[name] = str(error)
            return None
        if math.isnan(value):
            self.unavailable[name] = "the value is not defined (nan) for at least one image, so there is no mean"
            return None
        return value


def _find(name: str) -> Metric:
    try:
        return find(name)[0]
    except UserError as error:
        raise UserError(f"config.eval.protocols: {error}") from error
