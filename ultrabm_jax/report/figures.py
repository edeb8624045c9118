"""Everything that the page shows of one image, computed from the images of its sources."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from ultrabm_jax.report.curves import Curves, curves_of
from ultrabm_jax.report.data_uris import CROP_BYTES, ERROR_BYTES, ERROR_SIDE, VIEW_BYTES, VIEW_SIDE, data_uris
from ultrabm_jax.report.error_maps import error_maps
from ultrabm_jax.report.regions import LARGEST, Region, choose_regions, scale_of, textured_row


@dataclasses.dataclass(frozen=True)
class ImageFigures:
    """Sources are "input", each method and, if there is one, "reference", in the order of the page."""

    model: str
    size: tuple[int, int]  # height and width of the restored image
    views: Mapping[str, str]  # source: data URI
    regions: tuple[Region, ...]
    crops: Mapping[str, tuple[str, ...]]  # source: a data URI for each region
    errors: Mapping[str, str]  # method: data URI; empty without a reference
    error_end: int  # end of the error maps' scale, in 8-bit units
    line: int  # the row of the profiles
    curves: Mapping[str, Curves]  # source: curves

    def side(self, source: str) -> str:
        """The CSS class of a source's elements in the initial page, which compares the input with the model."""
        return {"input": "left", self.model: "right", "reference": "ref"}.get(source, "")


def make_figures(images: Mapping[str, np.ndarray], model: str) -> ImageFigures:
    """`images` are (h, w, 3) uint8: "input" (smaller by the scale), each method and, if there is one, "reference"."""
    first = [source for source in ("input", model, "reference") if source in images]
    images = {source: images[source] for source in dict.fromkeys([*first, *images])}
    height, width = images[model].shape[:2]
    regions = choose_regions(images, model)
    line = textured_row(regions, height)
    maps, end = error_maps(images, model) if "reference" in images else ({}, 0)
    return ImageFigures(
        model=model,
        size=(height, width),
        views=data_uris(images, budget=VIEW_BYTES, side=VIEW_SIDE),
        regions=regions,
        crops=_crops(images, model, regions),
        errors=data_uris(maps, budget=ERROR_BYTES, side=ERROR_SIDE),
        error_end=end,
        line=line,
        curves={source: curves_of(image, line, (height, width)) for source, image in images.items()},
    )


def _crops(images: Mapping[str, np.ndarray], model: str, regions: tuple[Region, ...]) -> dict[str, tuple[str, ...]]:
    cuts = {
        f"{source} {k}": region.cut(image, scale_of(image, images[model]))
        for source, image in images.items()
        for k, region in enumerate(regions)
    }
    uris = data_uris(cuts, budget=CROP_BYTES, side=LARGEST, kind="JPEG")
    return {source: tuple(uris[f"{source} {k}"] for k in range(len(regions))) for source in images}
