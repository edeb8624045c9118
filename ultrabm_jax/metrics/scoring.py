"""The score of a single 8-bit image, as evaluations and the metrics command need it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np

from ultrabm_jax.metrics.features import SharedFeatures
from ultrabm_jax.metrics.images import AssetFolder
from ultrabm_jax.metrics.registry import compute, find

# Why an image has no score.
UNDEFINED = "the value is not defined (nan)"
NONFINITE = "the restored image has non-finite values"

Scores: TypeAlias = dict[str, float | None]  # protocol: value of one image, None where it has none


def score_image(
    name: str,
    restored: np.ndarray,
    others: Mapping[str, np.ndarray | None],
    *,
    assets: AssetFolder = None,
    shared: SharedFeatures | None = None,
) -> float:
    """The protocol `name` of a uint8 image (h, w, 3); `others` are the "reference" and the "low" that exist.

    `shared` are the features of this reference from earlier calls, with the same `assets`; values do not depend on it.

    Images are measured one at a time: in a batch, the order in which sums are rounded would depend on the batch size.

    Raises UserError as `compute` does.
    """
    reference, low = (None if image is None else image[None] for image in map(others.get, ("reference", "low")))
    options = {"assets": assets} if find(name)[0].assets and assets else {}
    return float(np.asarray(compute(name, restored[None], reference, low=low, shared=shared, **options))[0])
