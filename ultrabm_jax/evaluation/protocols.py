"""The protocols of an evaluation; one that fails is given up for all images, and the reason kept.

A metric without a reference may have no value (nan) for a single image, one without contrast: that image then has
none, the others keep theirs, and the reason is kept as well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.metrics import Metric, compute, find

Scores = dict[str, float | None]  # protocol: value, None where it is not available


class Protocols:
    """Scores of 8-bit images under every name that was asked for."""

    def __init__(self, names: Sequence[str], *, assets: str = ""):
        self._metrics = {name: _metric(name) for name in names}
        self._assets = assets
        self.higher_is_better = {name: metric.higher_is_better for name, metric in self._metrics.items()}
        self.unavailable: dict[str, str] = {}
        self._given_up: set[str] = set()

    def scores(self, restored: np.ndarray, others: Mapping[str, np.ndarray | None]) -> Scores:
        """Of a uint8 image (h, w, 3); `others`: the "reference" and the "low" that exist.

        One image at a time: in a batch, sums are rounded in an order that depends on its size.
        """
        return {name: self._score(name, restored, others) for name in self._metrics}

    def _score(self, name: str, restored: np.ndarray, others: Mapping[str, np.ndarray | None]) -> float | None:
        if name in self._given_up:
            return None
        metric = self._metrics[name]
        options: dict[str, Any] = {"assets": self._assets} if metric.assets and self._assets else {}
        image = others.get(metric.against)
        against = {} if image is None else {metric.against: image[None]}
        try:
            value = float(np.asarray(compute(name, restored[None], **against, **options))[0])
        except UserError as error:
            self._given_up.add(name)
            self.unavailable[name] = str(error)
            return None
        if math.isnan(value):
            self.unavailable[name] = "it has no value (nan) for at least one image, so there is no mean over all"
            return None
        return value


def _metric(name: str) -> Metric:
    try:
        return find(name)[0]
    except UserError as error:
        raise UserError(f"config.eval.protocols: {error}") from error
