"""Metrics that compare features of each image; several comparisons with one reference compute its features once.

LPIPS and FSIM spend almost all their time on the features of single images: a network's activations, phase congruency.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from ultrabm_jax.typing import Array, PyTree

# Features of one reference by (function, border). The caller keeps it for as long as the reference stays the same.
SharedFeatures: TypeAlias = dict[tuple[Callable[..., PyTree], int], PyTree]


@dataclass(frozen=True)
class FeatureMetric:
    """A metric of two images (b, h, w, 3), in two steps: `compare(features(restored), features(reference))`, (b,)."""

    features: Callable[..., PyTree]
    compare: Callable[..., Array]

    def __call__(self, restored: Array, reference: Array, /, **options: object) -> Array:
        return self.with_features(restored, self.features(reference, **options), **options)

    def with_features(self, restored: Array, reference_features: PyTree, /, **options: object) -> Array:
        """The metric from the features of the reference, equal to `self(restored, reference)`."""
        return self.compare(self.features(restored, **options), reference_features, **options)

    def shared(
        self, restored: Array, reference: Array, shared: SharedFeatures, border: int, /, **options: object
    ) -> Array:
        """The metric, with the features of the reference from `shared`, where they are added if they are missing.

        `border` has been cut from both images; `options` are the same in all calls.
        """
        key = (self.features, border)
        if key not in shared:
            shared[key] = self.features(reference, **options)
        return self.with_features(restored, shared[key], **options)
