"""One image of the page, reduced at once to what the page shows, so that an evaluation need not keep images."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from ultrabm_jax.report.evidence import gather_evidence
from ultrabm_jax.report.section import image_section
from ultrabm_jax.report.sortable import Scores


@dataclasses.dataclass(frozen=True)
class Row:
    """Texts and numbers only: JSON carries it from one process to another."""

    name: str
    group: str | None
    scores: Mapping[str, Scores]  # method: scores
    sources: Sequence[str]  # that the slider can show
    html: str


def make_row(
    name: str,
    link: str,
    images: Mapping[str, np.ndarray],
    scores: Mapping[str, Scores],
    *,
    model: str,
    group: str | None = None,
) -> Row:
    """`images`: (h, w, 3) uint8 of "input" (smaller by the scale), each method and, if there is one, "reference".

    `link`: the restored PNG, relative to the page.
    """
    evidence = gather_evidence(images, model)
    html = image_section(name, link, evidence, scores, group=group)
    return Row(name, group, scores, list(evidence.views), html)
