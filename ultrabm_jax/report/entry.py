"""One image of the page, reduced to HTML as soon as it is measured, so that an evaluation keeps no images in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from ultrabm_jax.metrics.score_table import Scores
from ultrabm_jax.report.figures import make_figures
from ultrabm_jax.report.image_section import image_section


@dataclasses.dataclass(frozen=True)
class ImageEntry:
    """Contains only text and numbers, so that it can be sent between processes as JSON."""

    name: str
    group: str | None
    scores: Mapping[str, Scores]  # method: scores
    sources: Sequence[str]  # that the slider can show
    html: str


def make_entry(
    name: str,
    link: str,
    images: Mapping[str, np.ndarray],
    scores: Mapping[str, Scores],
    *,
    model: str,
    group: str | None = None,
) -> ImageEntry:
    """The entry of one image.

    `images` are (h, w, 3) uint8: "input" (smaller by the scale), each method and, if there is one, "reference". `link`
    is the path of the restored PNG relative to the page.
    """
    figures = make_figures(images, model)
    html = image_section(name, link, figures, scores, group=group)
    return ImageEntry(name, group, scores, list(figures.views), html)


def evenly_spaced(count: int, most: int) -> list[int]:
    """The indices of at most `most` of `count` images, evenly spaced, including the first and the last."""
    if count <= most:
        return list(range(count))
    return sorted({round(k * (count - 1) / max(most - 1, 1)) for k in range(most)})
