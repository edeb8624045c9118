"""The protocols of an evaluation; one that fails is given up for all pictures, and the reason kept."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.metrics import METRICS, compute

Scores = dict[str, float | None]  # protocol: value, None where it is not available


class Protocols:
    """Scores of 8-bit pictures under every name that was asked for."""

    def __init__(self, names: Sequence[str], *, assets: str = ""):
        self._metrics = {name: _metric(name) for name in names}
        self._assets = assets
        self.higher_is_better = {name: metric.higher_is_better for name, metric in self._metrics.items()}
        self.unavailable: dict[str, str] = {}

    def scores(self, restored: np.ndarray, others: Mapping[str, np.ndarray | None]) -> Scores:
        """Of a uint8 picture (h, w, 3); `others`: the "reference" and the "low" that exist.

        One picture at a time: in a batch, sums are rounded in an order that depends on its size.
        """
        return {name: self._score(name, restored, others) for name in self._metrics}

    def _score(self, name: str, restored: np.ndarray, others: Mapping[str, np.ndarray | None]) -> float | None:
        if name in self.unavailable:
            return None
        metric = self._metrics[name]
        options: dict[str, Any] = {"assets": self._assets} if metric.assets and self._assets else {}
        image = others.get(metric.against)
        against = {} if image is None else {metric.against: image[None]}
        try:
            return float(np.asarray(compute(name, restored[None], **against, **options))[0])
        except UserError as error:
            self.unavailable[name] = str(error)
            return None


def _metric(name: str) -> Any:
    base = re.sub(r"_crop\d+$", "", name)
    if base not in METRICS:
        raise UserError(f"unknown protocol {name!r} in config.eval.protocols; known: {', '.join(sorted(METRICS))}")
    return METRICS[base]
