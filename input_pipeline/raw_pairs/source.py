"""Pairs of mosaics and renderings, from SID's folders or from records; crops keep the phase of the filter array.

    low        (p, p, 1) uint16      the short exposure as in the file, starting in canonical phase
    reference  (p, p, 3) uint16      the long exposure's rendering
    black      (k, k) float32        levels of `low`, flipped and rotated with it; k = 2 Bayer, 6 X-Trans
    white, ratio   () float32        the network's input is ratio * raw.levels.normalise(low, black, white)

The scale is 1: a mosaic has as many samples as its rendering has pixels.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from input_pipeline.files.listing import Defect
from input_pipeline.raw_pairs.crops import crop_black, draw_crop
from input_pipeline.raw_pairs.sid_lists import SidFrame
from input_pipeline.records import RecordSplit
from input_pipeline.sources.base import Example, PairSource
from input_pipeline.sources.lazy_images import ArrayCache, LazyImage, Size, require_size
from ultrabm_jax.errors import UserError
from ultrabm_jax.image import BadImage
from ultrabm_jax.image.symmetry import flip_rotate
from ultrabm_jax.raw.cfa import CANONICAL
from ultrabm_jax.raw.raw_file import read_raw_size
from ultrabm_jax.raw.reader import read_raw
from ultrabm_jax.raw.rendering import render_reference

Levels = tuple[np.ndarray, float]  # black (k, k), white


@dataclass(frozen=True)
class RawPair:
    """A matching pair; `low` is (h, w), and `levels` reads its levels when called."""

    name: str
    low: LazyImage
    reference: LazyImage
    levels: Callable[[], Levels]
    ratio: float
    cfa: str


class RawPairs(PairSource):
    """Numbered pairs; `bayer_aug` is one of `AUGMENTATIONS`, see crops.py."""

    scale = 1
    input_kind = "mosaic"

    def __init__(self, pairs: Sequence[RawPair], *, bayer_aug: str = "preserve"):
        self._pairs = list(pairs)
        self._aug = bayer_aug

    def __len__(self) -> int:
        return len(self._pairs)

    def name(self, i: int) -> str:
        return self._pairs[i].name

    def group(self, i: int) -> str:
        """The exposure in EV below the reference's: "-6.6", "-8.0", "-8.2" for SID's ratios 100, 250, 300."""
        return f"{-math.log2(self._pairs[i].ratio):.1f}"

    def size(self, i: int) -> Size:
        return self._pairs[i].low.size

    def pair(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        pair = self._pairs[i]
        return pair.low.whole()[..., None], pair.reference.whole()

    def values(self, i: int) -> Example:
        """black, white and ratio of a pair, for the mosaic as `pair` gives it."""
        black, white = self._pairs[i].levels()
        return {"black": black, "white": np.array(white, np.float32), "ratio": self._ratio(i)}

    def crop(self, i: int, *, patch: int, rng: np.random.Generator) -> Example:
        pair = self._pairs[i]
        top, left, symmetry = draw_crop(rng, pair.low.size, patch, CANONICAL[pair.cfa], aug=self._aug)
        low = pair.low.crop(top, left, patch, patch)[..., None]
        reference = pair.reference.crop(top, left, patch, patch)
        black, white = pair.levels()
        return {
            "low": flip_rotate(low, symmetry),
            "reference": flip_rotate(reference, symmetry),
            "black": crop_black(black, top=top, left=left, patch=patch, symmetry=symmetry),
            "white": np.array(white, np.float32),
            "ratio": self._ratio(i),
        }

    def arrays(self, i: int) -> Example:
        low, reference = self.pair(i)
        return {"low": low, "reference": reference}

    @property
    def cfa(self) -> str:
        """The filter array of all pairs; UserError if there are several."""
        kinds = {pair.cfa for pair in self._pairs}
        if len(kinds) > 1:
            raise UserError(f"data.loader=in_memory: the mosaics are of several kinds ({', '.join(sorted(kinds))})")
        return kinds.pop()

    @property
    def aug(self) -> str:
        """data.bayer_aug."""
        return self._aug

    def _ratio(self, i: int) -> np.ndarray:
        return np.array(self._pairs[i].ratio, np.float32)


@dataclass(frozen=True)
class RawFileImage(ABC):
    """An image that a raw file is decoded to as a whole, and kept in the cache."""

    path: Path
    size: Size
    cache: ArrayCache = field(repr=False)

    @abstractmethod
    def _decode(self) -> np.ndarray:
        """The whole image."""

    def whole(self) -> np.ndarray:
        return self.cache.get(("file", self.path), self._decode)

    def crop(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        return self.whole()[top : top + height, left : left + width]


@dataclass(frozen=True)
class RenderedFile(RawFileImage):
    """The RGB rendering of a raw file."""

    def _decode(self) -> np.ndarray:
        image = render_reference(self.path)
        require_size(self.path, image, self.size)
        return image


@dataclass(frozen=True)
class MosaicFile(RawFileImage):
    """The samples of a raw file; decoding it also keeps its levels."""

    _levels: list[Levels] = field(default_factory=list, compare=False)

    def levels(self) -> Levels:
        """(black, white) of the file."""
        if not self._levels:
            self._decode()
        return self._levels[0]

    def _decode(self) -> np.ndarray:
        mosaic = read_raw(self.path)
        if mosaic.black.shape != CANONICAL[mosaic.cfa].shape:
            rows, columns = mosaic.black.shape
            raise UserError(
                f"{self.path}: its black levels form a pattern of {rows}x{columns}; training takes one for each place "
                "of the filter array"
            )
        self._levels[:] = [(mosaic.black, mosaic.white)]
        if mosaic.values.shape != self.size:
            (h, w), (height, width) = mosaic.values.shape, self.size
            raise UserError(
                f"{self.path}: its mosaic is {w}x{h}, but that of the first file of its size is {width}x{height}"
            )
        return mosaic.values


def pairs_of_folder(frames: Sequence[SidFrame], *, cfa: str, cache: ArrayCache) -> tuple[list[RawPair], list[Defect]]:
    """SID's frames as pairs, and the defects of those whose headers cannot be read or whose sizes differ.

    A header does not tell where the canonical phase starts; the first file of each header size is decoded to find out.
    """
    seen: dict[Size, Size] = {}
    sizes: dict[Path, Size] = {}
    references: dict[Path, RenderedFile] = {}
    pairs, defects = [], []
    for frame in frames:
        try:
            for path in (frame.short, frame.long):
                if path not in sizes:
                    sizes[path] = _canonical_size(path, cfa, seen)
        except BadImage as error:
            defects.append(Defect("unreadable", str(error)))
            continue
        (h, w), (height, width) = sizes[frame.short], sizes[frame.long]
        if (h, w) != (height, width):
            defects.append(Defect("sizes", f"{frame.short} is {w}x{h}, {frame.long} is {width}x{height}"))
            continue
        low = MosaicFile(frame.short, (h, w), cache)
        reference = references.setdefault(frame.long, RenderedFile(frame.long, (h, w), cache))
        pairs.append(RawPair(frame.name, low, reference, low.levels, frame.ratio, cfa))
    return pairs, defects


def pairs_of_records(low: RecordSplit, reference: RecordSplit, indices: Sequence[int]) -> list[RawPair]:
    """The pairs `indices` of two splits of the builder `sid`, such as train and train_reference."""
    return [
        RawPair(
            low.value(i, "name"),
            low.pixels(i, "low"),
            reference.pixels(low.value(i, "reference_index"), "reference"),
            _levels_of(low, i),
            float(low.value(i, "ratio")),
            low.value(i, "cfa"),
        )
        for i in indices
    ]


def _levels_of(records: RecordSplit, i: int) -> Callable[[], Levels]:
    return lambda: (records.pixels(i, "black").whole(), float(records.value(i, "white")))


def _canonical_size(path: Path, cfa: str, seen: dict[Size, Size]) -> Size:
    header = read_raw_size(path)
    if header not in seen:
        mosaic = read_raw(path)
        if mosaic.cfa != cfa:
            raise BadImage(path, f"is a mosaic of {mosaic.cfa}, not of {cfa}")
        height, width = mosaic.values.shape
        seen[header] = height, width
    return seen[header]
