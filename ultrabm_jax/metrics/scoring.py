"""The scores of a single 8-bit image, as evaluations and the metrics command need them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TypeAlias

import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.metrics.features import SharedFeatures
from ultrabm_jax.metrics.images import AssetFolder
from ultrabm_jax.metrics.registry import compute, find
from ultrabm_jax.storage.assets import MissingAsset

# Why an image has no score.
UNDEFINED = "the value is not defined (nan)"
NONFINITE = "the restored image has non-finite values"

Scores: TypeAlias = dict[str, float | None]  # protocol: value of one image, None where it has none


def score_all(
    names: Iterable[str],
    restored: np.ndarray,
    others: Mapping[str, np.ndarray | None],
    *,
    unavailable: dict[str, str],
    assets: AssetFolder = None,
    shared: SharedFeatures | None = None,
) -> tuple[Scores, dict[str, str]]:
    """(scores, {protocol: why there is none}) of an image under each of `names`; arguments as `score_image`.

    A protocol whose weights or models are missing is added to `unavailable` with the reason, and skipped if it is there
    already; it is not among the returned reasons.
    """
    scores: Scores = dict.fromkeys(names)
    reasons: dict[str, str] = {}
    for name in scores:
        if name in unavailable:
            continue
        try:
            value = score_image(name, restored, others, assets=assets, shared=shared)
        except MissingAsset as error:
            unavailable[name] = str(error)
        except UserError as error:
            reasons[name] = str(error)
        else:
            if math.isnan(value):
                reasons[name] = UNDEFINED
            else:
                scores[name] = value
    return scores, reasons


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
    _check_same_size(name, restored, others)
    reference, low = (None if image is None else image[None] for image in map(others.get, ("reference", "low")))
    options = {"assets": assets} if find(name)[0].assets and assets else {}
    return float(np.asarray(compute(name, restored[None], reference, low=low, shared=shared, **options))[0])


def _check_same_size(name: str, restored: np.ndarray, others: Mapping[str, np.ndarray | None]) -> None:
    metric = find(name)[0]
    other = others.get(metric.against)
    if other is not None and not metric.any_size and other.shape != restored.shape:
        (h, w), (other_h, other_w) = restored.shape[:2], other.shape[:2]
        raise UserError(f"the restored image has {w}x{h} pixels, the {metric.against} image {other_w}x{other_h}")
