"""index.html of a comparison: the scores, and the images with their boxes on both sides of a slider."""

from __future__ import annotations

import html
import string
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ultrabm_jax.detection.annotations import labels_of
from ultrabm_jax.detection.boxes import Detections, Truth
from ultrabm_jax.detection.compare import Comparison
from ultrabm_jax.evaluation.written_images import REFERENCE
from ultrabm_jax.image import read_rgb_uint8
from ultrabm_jax.image.write import write_file
from ultrabm_jax.report.data_uris import VIEW_BYTES, VIEW_SIDE, data_uris
from ultrabm_jax.report.entry import evenly_spaced
from ultrabm_jax.report.html_tables import head, methods_table, wide
from ultrabm_jax.report.image_section import choices
from ultrabm_jax.report.page import read_part

HERE = Path(__file__).parent
MAX_IMAGES = 24
SHOWN_FROM = 0.05  # confidence below which boxes are left out of the page
TEXT_SHARE = 54  # width of an image over the height of the text of its boxes; all images are as wide on the page
DEFINITIONS = (
    "ap, ap50, ap75, ap by size and ar100 are computed by pycocotools; ap_gain is ap minus that of the first method. "
    "[ ] is the 95 % bootstrap interval over images. "
    "precision, recall and iou are those of detections of at least the stated confidence, at an IoU of .5 or more. "
    "Boxes of another image size are scaled."
)


def write_page(path: Path, comparison: Comparison, *, detector: str) -> None:
    """Writes the page with at most 24 images, those with true boxes first."""
    title = f"Detections by {detector}"
    methods = list(comparison.detections)
    shown = _shown(comparison.truth)
    left, right = methods[0], _first_compared(comparison)
    sections = (_section(name, comparison, methods, left, right) for name in shown)
    directions: dict[str, bool | None] = dict.fromkeys(comparison.columns, True)
    facts = (
        f"truth: {comparison.truth_name}, {comparison.objects} objects in {len(comparison.truth)} images · "
        f"precision, recall and iou at confidence {comparison.confidence:g} · {len(shown)} images shown"
    )
    labels = "".join(f"<option>{html.escape(label)}</option>" for label in labels_of(comparison.truth))
    page = string.Template((HERE / "page.html").read_text(encoding="utf-8")).substitute(
        css=read_part("page.css"),
        js=read_part("page.js"),
        own_js=(HERE / "page.js").read_text(encoding="utf-8"),
        title=html.escape(title),
        facts=html.escape(facts),
        scores=methods_table(comparison.scores, directions, model="", intervals=comparison.intervals),
        definitions=DEFINITIONS,
        classes=_classes(comparison.by_class),
        choices=choices(methods, right, left=left),
        labels=labels,
        confidence=round(100 * comparison.confidence),
        images="".join(sections),
    )
    write_file(path, page.encode(errors="backslashreplace"))


def _first_compared(comparison: Comparison) -> str:
    """The method on the right side at first: the best by ap, then recall, besides the first and the reference."""
    ap, recall = (next(name for name in comparison.columns if name.startswith(kind)) for kind in ("ap", "recall"))

    def rank(method: str) -> tuple[float, float]:
        scores = comparison.scores[method]
        return scores[ap] or 0.0, scores[recall] or 0.0

    methods = list(comparison.detections)
    return max((name for name in methods[1:] if name != REFERENCE), key=rank, default=methods[-1])


def _shown(truth: Mapping[str, Truth]) -> list[str]:
    with_objects = [name for name, true in truth.items() if true.labels]
    return [with_objects[i] for i in evenly_spaced(len(with_objects), MAX_IMAGES)]


def _classes(by_class: Mapping[str, Mapping[str, float | None]]) -> str:
    labels = list(next(iter(by_class.values())))
    directions: dict[str, bool | None] = dict.fromkeys(labels, True)
    if not labels:
        return wide(f"<thead><tr>{head('method')}</tr></thead>", "ap by class")
    return methods_table(by_class, directions, model="")


def _section(name: str, comparison: Comparison, sources: list[str], left: str, right: str) -> str:
    images = {source: read_rgb_uint8(comparison.paths.get(source, comparison.base)[name]) for source in sources}
    views = data_uris(images, budget=VIEW_BYTES, side=VIEW_SIDE)
    true = comparison.truth[name]
    height, width = true.size
    layers = "".join(
        f'<img class="{_side(source, left, right)}" data-of="{html.escape(source)}" src="{views[source]}" '
        f'alt="{html.escape(source)}">' + _overlay(source, comparison.detections[source][name], true, left, right)
        for source in sources
    )
    found = ", ".join(
        f"{source} {len(comparison.detections[source][name].above(comparison.confidence).labels)}" for source in sources
    )
    return (
        f'<section class="image"><h3>{html.escape(name)}</h3><div class="pair"><div>'
        f'<div class="choices">{choices(sources, right, left=left)}</div>'
        f'<div class="compare" style="aspect-ratio:{width}/{height}">{layers}'
        f'<input type="range" min="0" max="100" value="50" autocomplete="off" '
        f'aria-label="{html.escape(name)}: where the left image ends"><span class="handle"></span></div>'
        f'<p class="note">true boxes (dashed): {len(true.labels)}; found: {html.escape(found)}</p>'
        "</div></div></section>"
    )


def _overlay(source: str, found: Detections, true: Truth, left: str, right: str) -> str:
    height, width = true.size
    shown = found.above(SHOWN_FROM)
    marks = [_box(box, label) for box, label in zip(true.boxes, true.labels, strict=True)]
    marks += [_box(b, label, score) for b, label, score in zip(shown.boxes, shown.labels, shown.scores, strict=True)]
    return (
        f'<svg class="boxes {_side(source, left, right)}" data-of="{html.escape(source)}" '
        f'viewBox="0 0 {width} {height}" preserveAspectRatio="none" style="--em:{width / TEXT_SHARE:.1f}">'
        f"{''.join(marks)}</svg>"
    )


def _box(box: np.ndarray, label: str, score: float | None = None) -> str:
    x, y, right, bottom = (float(value) for value in box)
    rect = f'<rect x="{x:.1f}" y="{y:.1f}" width="{right - x:.1f}" height="{bottom - y:.1f}"/>'
    name = html.escape(label)
    if score is None:
        return f'<g class="true" data-class="{name}">{rect}</g>'
    text = f'<text x="{x:.1f}" y="{y:.1f}" dy=".9em" dx=".2em">{name} {score:.2f}</text>'
    return f'<g data-class="{name}" data-score="{score:.3f}">{rect}{text}</g>'


def _side(source: str, left: str, right: str) -> str:
    return " ".join(side for side, chosen in (("left", left), ("right", right)) if source == chosen)
