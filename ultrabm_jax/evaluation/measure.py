"""Restores and measures the images of an evaluation, one batch after the other."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import jax
import numpy as np

from ultrabm_jax.cli import progress
from ultrabm_jax.evaluation.candidates import Candidate
from ultrabm_jax.evaluation.image_result import ImageResult
from ultrabm_jax.evaluation.protocols import Protocols
from ultrabm_jax.evaluation.written_images import INPUT, REFERENCE, ImageWriter
from ultrabm_jax.image import write_image
from ultrabm_jax.image.write import as_uint8
from ultrabm_jax.metrics.features import SharedFeatures
from ultrabm_jax.metrics.scoring import NONFINITE
from ultrabm_jax.raw.cfa import cfa_of_period
from ultrabm_jax.raw.rendering import mosaic_preview
from ultrabm_jax.report import make_entry
from ultrabm_jax.report.entry import evenly_spaced
from ultrabm_jax.training.feed import to_float
from ultrabm_jax.typing import HostBatch, InputKind

if TYPE_CHECKING:
    from input_pipeline.sources.base import PairSource

MAX_IMAGES = 24  # images that the report shows


def measure(
    source: PairSource,
    methods: Mapping[str, Candidate],
    protocols: Protocols,
    folder: Path,
    failures: dict[str, str],
    write_all: ImageWriter,
) -> Iterator[ImageResult]:
    """Restores and measures the images of this process; only scores and report entries stay in memory.

    `write_all` gets the images of all methods, the inputs and the references. Adds the images that cannot be read, or
    of which a method returns non-finite values, to `failures` (name: reason).
    """
    from input_pipeline import eval_batches

    shown, processes = set(evenly_spaced(len(source), MAX_IMAGES)), jax.process_count()
    unreadable: dict[int, str] = {}
    batches = eval_batches(
        source,
        batch_size=jax.local_device_count() * processes,
        process_index=jax.process_index(),
        process_count=processes,
        unreadable=unreadable,
    )
    done = progress(range(-(-len(source) // processes)), "image", describe=lambda i: source.name(i * processes))
    for batch in batches:
        images, low = _restore(methods, batch, source.input_kind)
        references = as_uint8(batch["reference"]) if "reference" in batch else None
        for i in np.flatnonzero(batch["mask"]):
            next(done, None)
            index = int(batch["index"][i])
            name, group = source.name(index), source.group(index)
            restored = {method: x for method, many in images.items() if (x := many[i]) is not None}
            if wrong := [method for method in methods if method not in restored]:
                failures[name] = f"{name}: {', '.join(wrong)}: {NONFINITE}"
            others = {"low": low[i]} | ({} if references is None else {"reference": references[i]})
            result = _measure_image(index, name, group, restored, others, list(methods), protocols)
            inputs = {} if source.input_kind == "mosaic" else {INPUT: batch["low"][i]}
            write_all(name, restored | inputs | ({} if references is None else {REFERENCE: references[i]}))
            model = next(iter(methods))
            if model in restored:
                write_image(folder / f"{name}.png", restored[model])
            if index in shown and not wrong:
                views = {"input": others["low"], **restored, **{n: x for n, x in others.items() if n != "low"}}
                link = f"../restored/{quote(name)}.png"
                entry = make_entry(name, link, views, result.scores, model=model, group=group)
                result = dataclasses.replace(result, entry=entry)
            yield result
    failures |= {source.name(i): f"{source.name(i)}: {reason}" for i, reason in unreadable.items()}


def _measure_image(
    index: int,
    name: str,
    group: str | None,
    restored: Mapping[str, np.ndarray],
    others: Mapping[str, np.ndarray],
    methods: Sequence[str],
    protocols: Protocols,
) -> ImageResult:
    """The scores of one image; a method that is not in `restored` has none.

    `others` are "low" and, if there is one, "reference".
    """
    result = ImageResult(index, name, group, {})
    shared: SharedFeatures | None = {} if len(methods) > 1 else None
    for method in methods:
        if method in restored:
            scores, reasons = protocols.scores(restored[method], others, shared=shared)
        else:
            scores, reasons = protocols.no_scores(), dict.fromkeys(protocols.higher_is_better, NONFINITE)
        result.scores[method] = scores
        if reasons:
            result.reasons[method] = reasons
    return result


def _restore(
    methods: Mapping[str, Candidate], batch: HostBatch, kind: InputKind
) -> tuple[dict[str, list[np.ndarray | None]], np.ndarray]:
    """(uint8 images (s h, s w, 3) of each method, None if not finite; the low images as uint8 RGB (b, h, w, 3))."""
    stored = {name: value for name, value in batch.items() if name not in ("reference", "index", "mask")}
    floats: HostBatch = {n: np.asarray(x) for n, x in to_float(stored, input_kind=kind).items()}
    floats["index"] = batch["index"]
    low = batch["low"]
    if kind == "mosaic":
        floats["period"] = np.array(batch["black"].shape[-1])
        cfa = cfa_of_period(batch["black"].shape[-1])
        low = np.stack([as_uint8(mosaic_preview(x[..., 0], cfa=cfa)) for x in floats["low"]])
    restored = {name: method(floats) for name, method in methods.items()}
    return {name: [as_uint8(x) if np.isfinite(x).all() else None for x in many] for name, many in restored.items()}, low
