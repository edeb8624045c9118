"""Opens sources from prepared records: the same pairs as from folders, in the same order and with the same names.

config.data.dataset names a builder of input_pipeline/builders, or a folder data set whose builder is in
records/names.py (lol is lol/v1; rellisur at scale 2 is rellisur/x2). Data sets with several dark images per reference
store each reference once, in a split SPLIT_reference.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ml_collections import ConfigDict

from input_pipeline.files.held_out import scenes_of_images
from input_pipeline.files.listing import Defect
from input_pipeline.raw_pairs.sid_lists import check_bursts
from input_pipeline.raw_pairs.source import RawPairs, pairs_of_records
from input_pipeline.records import RecordSplit, find_records, open_records, record_name, split_names
from input_pipeline.sources.base import PairSource
from input_pipeline.sources.extra_inputs import make_extra_inputs
from input_pipeline.sources.lazy_images import ArrayCache, DownscaledImage, LazyImage
from input_pipeline.sources.pairs import ImagePair, Pairs, fit_sizes
from input_pipeline.sources.patches import patch_sampler
from input_pipeline.sources.splits import VALIDATION_NAMES, held_out_names, holds_out, name_split
from input_pipeline.sources.synthetic import NamedImage, SyntheticPairs
from input_pipeline.sources.unreferenced import LowImages
from ultrabm_jax.errors import UserError


def record_split(data: ConfigDict, split: str, *, scale: int) -> str:
    """The builder's name of a split (splits.py); raises UserError if there is none."""
    wanted = name_split(data, split)
    if holds_out(data, wanted, scale=scale):
        wanted = "train"
    known = split_names(find_records(data.records, record_name(data.dataset, scale=scale)))
    names = [name for name in (VALIDATION_NAMES if wanted == "val" else (wanted,)) if name in known]
    if not names:
        existing = ", ".join(name for name in known if not name.endswith("_reference"))
        raise UserError(f"the records of {data.dataset!r} have no split {wanted!r}; they have: {existing}")
    return names[0]


def open_recorded(data: ConfigDict, *, scale: int, split: str) -> tuple[PairSource, list[Defect]]:
    """Opens a split; returns its source and a defect for each pair whose sizes do not match."""
    name = record_name(data.dataset, scale=scale)
    part = record_split(data, split, scale=scale)
    records = open_records(data.records, name, part)
    indices = _indices(data, split, records, scale=scale)
    cache = ArrayCache(int(data.cache_gib * 2**30))
    if "ratio" in records:
        references = open_records(data.records, name, f"{part}_reference")
        return RawPairs(pairs_of_records(records, references, indices), bayer_aug=data.bayer_aug), []
    if split != "train" and "reference" not in records and "reference_index" not in records:
        found = [(records.names[i], records.pixels(i, "low"), _group(records, i)) for i in indices]
        return LowImages(found, scale=scale), []
    if "low" not in records:
        photos = [NamedImage(records.names[i], records.pixels(i, "reference")) for i in indices]
        return SyntheticPairs(photos, scale=scale, options=data.darkness, patches=patch_sampler(data)), []
    pairs, defects = [], []
    for i, low, reference in _pixels(data, name, part, records, indices):
        try:
            _, downscaled = fit_sizes(low.size, reference.size, scale=scale, downscale=data.downscale)
        except UserError as error:
            defects.append(Defect("sizes", f"{records.names[i]} of {records.folder}: {error}"))
            continue
        used = DownscaledImage(low, scale) if downscaled else low
        extra = make_extra_inputs(data.extra_inputs, used, key=(part, i), cache=cache)
        pairs.append(ImagePair(records.names[i], used, reference, _group(records, i), extra))
    return Pairs(pairs, scale=scale, patches=patch_sampler(data)), defects


def _group(records: RecordSplit, i: int) -> str | None:
    return (records.value(i, "group") or None) if "group" in records else None


def _indices(data: ConfigDict, split: str, records: RecordSplit, *, scale: int) -> Sequence[int]:
    """The examples of `records` that belong to `split`."""
    split = name_split(data, split)
    indices: Sequence[int] = range(len(records))
    if holds_out(data, split, scale=scale):
        chosen = held_out_names(data, split, _scenes(records))
        indices = [i for i, name in enumerate(records.names) if name in chosen]
    check_bursts(data.bursts)
    if data.leave_out and "scene" in records:
        indices = [i for i in indices if records.value(i, "scene") not in data.leave_out]
    if data.bursts == "first" and "burst" in records:
        indices = [i for i in indices if records.value(i, "burst") == 0]
    return indices


def _scenes(records: RecordSplit) -> dict[str, str]:
    """The scene of each example, by name: as recorded, or estimated from the references."""
    if "scene" in records and all(records.value(i, "scene") for i in range(len(records))):
        return {name: records.value(i, "scene") for i, name in enumerate(records.names)}
    return scenes_of_images({name: records.pixels(i, "reference").whole for i, name in enumerate(records.names)})


def _pixels(
    data: ConfigDict, name: str, part: str, records: RecordSplit, indices: Sequence[int]
) -> Iterator[tuple[int, LazyImage, LazyImage]]:
    """Yields (index, low, reference) of each example in `indices`."""
    if "reference_index" in records:
        references = open_records(data.records, name, f"{part}_reference")
        for i in indices:
            yield i, records.pixels(i, "low"), references.pixels(records.value(i, "reference_index"), "reference")
    elif "reference" in records:
        for i in indices:
            yield i, records.pixels(i, "low"), records.pixels(i, "reference")
    else:
        raise UserError(f"the records of {data.dataset!r} have no reference images and cannot be used for training")
