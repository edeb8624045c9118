"""Scores images under the protocols of an evaluation, and keeps the reasons for missing scores.

A protocol whose weights or models are not available has no scores and is not tried again. An image that is too small
for a protocol, or whose value is undefined (nan), such as a no-reference metric of an image without contrast, lacks
only that score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.metrics import Metric, find
from ultrabm_jax.metrics.features import SharedFeatures
from ultrabm_jax.metrics.scoring import Scores, score_all

Reasons: TypeAlias = dict[str, str]  # protocol: why an image has no score


class Protocols:
    """Scores 8-bit images under each of `names`; `unavailable` has the reason for each protocol without its data.

    Raises UserError for an unknown name, or, without `references`, for a protocol that compares with one.
    """

    def __init__(self, names: Sequence[str], *, assets: str = "", references: bool = True):
        self._assets = assets
        needing = [name for name in names if not references and _find(name).full_reference]
        if needing:
            raise UserError(f"config.eval.blind_protocols: {', '.join(needing)}: these images have no references")
        self.higher_is_better = {name: _find(name).higher_is_better for name in names}
        self.unavailable: Reasons = {}

    def scores(
        self,
        restored: np.ndarray,
        others: Mapping[str, np.ndarray | None],
        *,
        shared: SharedFeatures | None = None,
    ) -> tuple[Scores, Reasons]:
        """The scores of a uint8 image (h, w, 3), and why some are missing, except for `unavailable` protocols.

        `others` are the "reference" and the "low" that exist; `shared` are features of this reference that several
        methods share.
        """
        names = self.higher_is_better
        return score_all(names, restored, others, unavailable=self.unavailable, assets=self._assets, shared=shared)

    def no_scores(self) -> Scores:
        """The scores of an image that was not measured."""
        return dict.fromkeys(self.higher_is_better)


def _find(name: str) -> Metric:
    try:
        return find(name)[0]
    except UserError as error:
        raise UserError(f"config.eval.protocols: {error}") from error
