"""Examines the image files of a data set: reads their headers (or decodes them) and lists the unusable ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from ml_collections import ConfigDict

from input_pipeline.files.listing import Defect, Pair
from input_pipeline.progress import Progress
from input_pipeline.sources.extra_inputs import make_extra_inputs
from input_pipeline.sources.lazy_images import (
    ArrayCache,
    CachedImage,
    DownscaledImage,
    ImageFile,
    LazyImage,
    Read,
    Size,
)
from input_pipeline.sources.pairs import ImagePair, fit_sizes
from input_pipeline.sources.reading import NotedReader
from input_pipeline.sources.synthetic import NamedImage
from ultrabm_jax.errors import UserError
from ultrabm_jax.image import BadImage, read_size

Item = TypeVar("Item")
Image = TypeVar("Image")


@dataclass(frozen=True)
class Examiner:
    """`data` is config.data; `decode` decodes each file instead of reading only its header."""

    data: ConfigDict
    scale: int
    decode: bool
    cache: ArrayCache
    progress: Progress
    read: Read = field(default_factory=NotedReader)
    shrunk: list[str] = field(default_factory=list)  # names of the pairs whose low image is shrunk by the scale

    def images(self, files: dict[str, Path]) -> tuple[list[NamedImage], list[Defect]]:
        """Examines the images of `files`, by name."""
        return self._examine_all(self._image, list(files.items()))

    def pairs(self, pairs: Sequence[Pair]) -> tuple[list[ImagePair], list[Defect]]:
        """Examines pairs of files."""
        return self._examine_all(self._pair, pairs)

    def _examine_all(
        self, examine: Callable[[Item], tuple[Image | None, list[Defect]]], items: Sequence[Item]
    ) -> tuple[list[Image], list[Defect]]:
        with ThreadPoolExecutor(max(1, self.data.workers)) as pool:
            results = list(self.progress(pool.map(examine, items), len(items)))
        usable = [image for image, _ in results if image is not None]
        return usable, [defect for _, defects in results for defect in defects]

    def _image(self, item: tuple[str, Path]) -> tuple[NamedImage | None, list[Defect]]:
        name, path = item
        size, defects = self._size(path)
        if size is None:
            return None, defects
        if min(size) < self.scale:
            return None, [Defect("sizes", f"{path}: {size[1]}x{size[0]} is too small for scale {self.scale}")]
        return NamedImage(name, self._cached(ImageFile(path, size, self.read), path)), []

    def _pair(self, pair: Pair) -> tuple[ImagePair | None, list[Defect]]:
        low_size, defects = self._size(pair.low)
        reference_size, more = self._size(pair.reference)
        if low_size is None or reference_size is None:
            return None, defects + more
        try:
            _, downscaled = fit_sizes(low_size, reference_size, scale=self.scale, downscale=self.data.downscale)
        except UserError as error:
            return None, [Defect("sizes", f"{pair.low} and {pair.reference}: {error}")]
        file = ImageFile(pair.low, low_size, self.read)
        if downscaled:
            self.shrunk.append(pair.name)
        low = self._cached(DownscaledImage(file, self.scale) if downscaled else file, pair.low)
        extra = make_extra_inputs(self.data.extra_inputs, low, key=pair.low, cache=self.cache)
        reference = self._cached(ImageFile(pair.reference, reference_size, self.read), pair.reference)
        return ImagePair(pair.name, low, reference, pair.group, extra), []

    def _cached(self, image: LazyImage, path: Path) -> CachedImage:
        return CachedImage(image, ("file", path), self.cache)

    def _size(self, path: Path) -> tuple[Size | None, list[Defect]]:
        try:
            height, width = self.read(path).shape[:2] if self.decode else read_size(path)
        except BadImage as error:
            return None, [Defect("unreadable", str(error))]
        return (height, width), []
