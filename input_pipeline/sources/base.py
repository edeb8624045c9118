"""The interface of a data set for the loaders and the evaluation: numbered examples, whole or cropped.

    low        (h, w, c)        input of the network
    reference  (s*h, s*w, 3)    target

Arrays have the type of the data set: uint8 RGB, or for camera raw a uint16 mosaic with c = 1. Further arrays of an
example (a histogram-equalised `low`, the levels of a raw file) have their own names. Sources are deterministic:
`pair(i)` always returns the same arrays, and `crop` depends only on its arguments.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from input_pipeline.files.listing import MAX_LISTED
from input_pipeline.sampling import image_index
from input_pipeline.sources.lazy_images import Size
from ultrabm_jax.errors import UserError
from ultrabm_jax.typing import HostBatch, InputKind

Example = HostBatch  # arrays of one example, by name


class PairSource(ABC):
    """Numbered pairs of one split of a data set at one scale."""

    scale: int
    input_kind: InputKind = "rgb"  # of `low`
    has_references: bool = True  # without, the images can only be measured under protocols that need none
    extra_names: tuple[str, ...] = ()  # inputs of every example beside `low` and `reference` (data.extra_inputs)

    @abstractmethod
    def __len__(self) -> int:
        """The number of pairs."""

    @abstractmethod
    def name(self, i: int) -> str:
        """A unique name for reports and file names; may contain '/'."""

    @abstractmethod
    def pair(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Whole images: low (h, w, c), reference (s*h, s*w, 3)."""

    def whole(self, i: int) -> Example:
        """All arrays of a pair for an evaluation: low, reference if there is one, and `values`."""
        return dict(zip(("low", "reference"), self.pair(i), strict=True)) | self.values(i)

    @abstractmethod
    def crop(self, i: int, *, patch: int, rng: np.random.Generator) -> Example:
        """A randomly placed, flipped and rotated patch: low (p, p, c), reference (s*p, s*p, 3), ..."""

    @abstractmethod
    def size(self, i: int) -> Size:
        """(h, w) of `low`, without decoding it."""

    @abstractmethod
    def arrays(self, i: int) -> Example:
        """The whole images (h, w, c) from which the in-memory loader makes patches."""

    def draw(self, *, seed: int, step: int, slot: int, batch_size: int) -> int:
        """The number of the pair that a training example shows: a pure function of the arguments."""
        return image_index(seed, step * batch_size + slot, len(self))

    def min_input_size(self, patch: int) -> int:
        """The smallest side of `low` that holds patches of this side."""
        return patch

    def components(self) -> tuple[PairSource, ...]:
        """The sources whose examples are merged into one; several if their images are numbered independently."""
        return (self,)

    def parts(self) -> tuple[PairSource, ...]:
        """The sources that together hold the pairs; several for a mixture."""
        return (self,)

    def member(self, i: int) -> str | None:
        """The member of a mixture that a pair comes from, or None if the source is no mixture."""
        return None

    def values(self, i: int) -> Example:
        """Arrays of a pair other than images, such as the levels of a raw file."""
        return {}

    def crop_grid_size(self, i: int) -> Size:
        """(h, w) of the pixel grid on which the in-memory loader places crops."""
        return self.size(i)

    def group(self, i: int) -> str | None:
        """The exposure level in EV, such as "-5.0", or None if the data set has none. Scores are summarised by it."""
        return None


def too_small(source: PairSource, patch: int) -> list[str]:
    """Describes the images that are too small to hold a patch."""
    return [
        f"{part.name(i)} is {part.size(i)[1]}x{part.size(i)[0]}"
        for component in source.components()
        for part in component.parts()
        for i in range(len(part))
        if min(part.size(i)) < part.min_input_size(patch)
    ]


def require_patch(source: PairSource, patch: int) -> None:
    """Raises UserError if any image is too small for the patch, so that training stops before its first step."""
    small = too_small(source, patch)
    side = source.min_input_size(patch)
    if small:
        rest = f" and {len(small) - MAX_LISTED} more" if len(small) > MAX_LISTED else ""
        raise UserError(
            f"{len(small)} of {len(source)} low-resolution images are smaller than the {side}x{side} patch: "
            f"{', '.join(small[:MAX_LISTED])}{rest}; use a smaller data.patch_size or leave them out"
        )
